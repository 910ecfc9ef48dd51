package io.pageferry.guest.control;

import java.io.IOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/** The place at which a guest listens for QMP. Any thread; nothing here blocks. */
public final class QmpSocket {
  private QmpSocket() {}

  /**
   * Whether nobody listens there any more, as after the end of the guest's process, however it
   * ended. A guest that merely does not answer still listens.
   */
  public static boolean isDeserted(Path socket) {
    if (Files.notExists(socket)) {
      return true;
    }
    try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      // A guest that is stopped accepts nobody, and a blocking connection would wait for that.
      channel.configureBlocking(false);
      channel.connect(UnixDomainSocketAddress.of(socket));
      return false;
    } catch (ConnectException e) {
      return true;
    } catch (IOException e) {
      // Not allowed, or too many wait there already: somebody may well listen.
      return false;
    }
  }
}
