package io.pageferry.guest.handover;

import io.pageferry.guest.linux.Descriptor;
import io.pageferry.guest.linux.UnixConnection;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** The sending end of a handover, in the guest's process. */
final class HandoverSender {
  private static final Duration TIMEOUT = Duration.ofSeconds(5);

  private HandoverSender() {}

  /**
   * Connects and sends, once.
   *
   * @return the connection; its end of file says that the receiver is done or dead
   */
  static UnixConnection send(Path socket, HandoverMessage message, Descriptor descriptor)
      throws IOException {
    UnixConnection connection = UnixConnection.connect(socket);
    try {
      connection.send(message.encode(), List.of(descriptor), TIMEOUT);
      return connection;
    } catch (IOException | RuntimeException e) {
      connection.close();
      throw e;
    }
  }
}
