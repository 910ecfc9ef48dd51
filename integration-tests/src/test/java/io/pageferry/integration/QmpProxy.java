package io.pageferry.integration;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Stands before a guest's QMP socket and, once, meets a command instead of passing it on: by
 * hanging up, or as it is told. Everything else is carried as it is. Who comes before the guest
 * listens is hung up on.
 *
 * <p>Threads: two of its own for each connection.
 */
final class QmpProxy implements AutoCloseable {
  /** What to do with the command. */
  interface Meeting {
    /**
     * Met once.
     *
     * @param line with the command
     * @return what the guest gets instead, or null to hang up
     */
    @Nullable String meet(String line) throws IOException;
  }

  private final Path place;
  private final Path guest;
  private final String command;
  private final Meeting meeting;
  private final ServerSocketChannel server;
  private final AtomicBoolean met = new AtomicBoolean();

  private QmpProxy(
      Path place, Path guest, String command, Meeting meeting, ServerSocketChannel server) {
    this.place = place;
    this.guest = guest;
    this.command = "\"execute\":\"" + command + "\"";
    this.meeting = meeting;
    this.server = server;
  }

  /**
   * Listens, and hangs up when that command comes for the first time.
   *
   * @param place where
   * @param guest the guest's own socket
   */
  static QmpProxy open(Path place, Path guest, String command) throws IOException {
    return open(place, guest, command, line -> null);
  }

  /** The same with something else to be done when the command comes. */
  static QmpProxy open(Path place, Path guest, String command, Meeting meeting) throws IOException {
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    server.bind(UnixDomainSocketAddress.of(place));
    QmpProxy proxy = new QmpProxy(place, guest, command, meeting, server);
    // Not a virtual one: that does not wait for its turn at a guest at which others wait already.
    Thread.ofPlatform().daemon().start(proxy::accept);
    return proxy;
  }

  /** Whether that command came. */
  boolean hasMet() {
    return met.get();
  }

  private void accept() {
    try {
      while (true) {
        SocketChannel agent = server.accept();
        SocketChannel behind = SocketChannel.open(StandardProtocolFamily.UNIX);
        try {
          behind.connect(UnixDomainSocketAddress.of(guest));
        } catch (IOException notThereYet) {
          behind.close();
          agent.close();
          continue;
        }
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
        ByteBuffer passed = buffer.flip();
        String text = StandardCharsets.UTF_8.decode(buffer.duplicate()).toString();
        if (commands && text.contains(command) && met.compareAndSet(false, true)) {
          String instead = meeting.meet(text);
          if (instead == null) {
            return;
          }
          passed = StandardCharsets.UTF_8.encode(instead);
        }
        while (passed.hasRemaining()) {
          to.write(passed);
        }
      }
    } catch (IOException gone) {
      // The other direction ends with this one.
    }
  }

  @Override
  public void close() throws IOException {
    server.close();
    Files.deleteIfExists(place);
  }
}
