package io.pageferry.target;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Stands before a guest's QMP socket, counts how often the guest is told to run, and refuses that
 * while it is told to. Everything else is carried as it is. Two threads for each connection.
 */
final class QmpGate implements AutoCloseable {
  private static final String RUN = "\"execute\":\"cont\"";
  private static final Pattern ID = Pattern.compile("\"id\":(\\d+)");

  private final Path place;
  private final Path guest;
  private final ServerSocketChannel server;

  /** How often the guest was told to run. */
  final AtomicInteger toldToRun = new AtomicInteger();

  /** Whether it is refused that the guest runs. */
  volatile boolean refusing;

  /**
   * Listens.
   *
   * @param guest the guest's own socket
   */
  QmpGate(Path place, Path guest) throws IOException {
    this.place = place;
    this.guest = guest;
    server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    server.bind(UnixDomainSocketAddress.of(place));
    Thread.ofPlatform().daemon().start(this::accept);
  }

  private void accept() {
    try {
      while (true) {
        SocketChannel agent = server.accept();
        SocketChannel behind = SocketChannel.open(UnixDomainSocketAddress.of(guest));
        Thread.ofPlatform().daemon().start(() -> carry(agent, behind, true));
        Thread.ofPlatform().daemon().start(() -> carry(behind, agent, false));
      }
    } catch (IOException closed) {
      // The test is over.
    }
  }

  private void carry(SocketChannel from, SocketChannel to, boolean commands) {
    ByteBuffer buffer = ByteBuffer.allocate(64 << 10);
    try (from;
        to) {
      while (from.read(buffer.clear()) >= 0) {
        String text = StandardCharsets.UTF_8.decode(buffer.flip().duplicate()).toString();
        boolean run = commands && text.contains(RUN);
        if (run && refusing) {
          answer(from, text);
          continue;
        }
        if (run) {
          toldToRun.incrementAndGet();
        }
        while (buffer.hasRemaining()) {
          to.write(buffer);
        }
      }
    } catch (IOException gone) {
      // The other direction ends with this one.
    }
  }

  private static void answer(SocketChannel agent, String command) throws IOException {
    Matcher id = ID.matcher(command);
    if (!id.find()) {
      throw new AssertionError(command);
    }
    agent.write(
        StandardCharsets.UTF_8.encode(
            "{\"error\":{\"class\":\"GenericError\",\"desc\":\"not now\"},\"id\":%s}\r\n"
                .formatted(id.group(1))));
  }

  @Override
  public void close() throws IOException {
    server.close();
    Files.deleteIfExists(place);
  }
}
