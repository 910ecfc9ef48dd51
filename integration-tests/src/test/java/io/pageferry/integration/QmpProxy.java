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

/**
 * Stands before a guest's QMP socket and hangs up once, instead of passing a command on. Later
 * connections are carried as they are.
 *
 * <p>Threads: two of its own for each connection.
 */
final class QmpProxy implements AutoCloseable {
  private final Path place;
  private final Path guest;
  private final byte[] command;
  private final ServerSocketChannel server;
  private final AtomicBoolean hungUp = new AtomicBoolean();

  private QmpProxy(Path place, Path guest, String command, ServerSocketChannel server) {
    this.place = place;
    this.guest = guest;
    this.command = ("\"execute\":\"" + command + "\"").getBytes(StandardCharsets.US_ASCII);
    this.server = server;
  }

  /**
   * Listens.
   *
   * @param place where
   * @param guest the guest's own socket
   * @param command that is not passed on the first time
   */
  static QmpProxy open(Path place, Path guest, String command) throws IOException {
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    server.bind(UnixDomainSocketAddress.of(place));
    QmpProxy proxy = new QmpProxy(place, guest, command, server);
    Thread.ofVirtual().start(proxy::accept);
    return proxy;
  }

  /** Whether that command came. */
  boolean hasHungUp() {
    return hungUp.get();
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
        buffer.flip();
        if (commands && mentions(buffer) && hungUp.compareAndSet(false, true)) {
          return;
        }
        while (buffer.hasRemaining()) {
          to.write(buffer);
        }
      }
    } catch (IOException gone) {
      // The other direction ends with this one.
    }
  }

  private boolean mentions(ByteBuffer buffer) {
    for (int at = 0; at + command.length <= buffer.limit(); at++) {
      int same = 0;
      while (same < command.length && buffer.get(at + same) == command[same]) {
        same++;
      }
      if (same == command.length) {
        return true;
      }
    }
    return false;
  }

  @Override
  public void close() throws IOException {
    server.close();
    Files.deleteIfExists(place);
  }
}
