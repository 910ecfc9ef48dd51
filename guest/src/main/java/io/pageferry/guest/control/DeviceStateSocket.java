package io.pageferry.guest.control;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;

/**
 * Moves device state over a Unix socket: a byte stream that ends with the connection, which is what
 * QEMU's {@code migrate} and {@code migrate-incoming} make of a {@code unix:} address. Blocking;
 * closing the channel from another thread ends a waiting call.
 */
public final class DeviceStateSocket {
  private DeviceStateSocket() {}

  /** Listens at {@code path}, where nothing may exist yet. */
  public static ServerSocketChannel listen(Path path) throws IOException {
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      server.bind(UnixDomainSocketAddress.of(path), 1);
    } catch (IOException | RuntimeException e) {
      server.close();
      throw e;
    }
    return server;
  }

  /** Connects to whoever listens at {@code path}. */
  public static SocketChannel connect(Path path) throws IOException {
    return SocketChannel.open(UnixDomainSocketAddress.of(path));
  }

  /** Accepts one connection, reads all of it and closes it. */
  public static byte[] receive(ServerSocketChannel server, int limit) throws IOException {
    try (SocketChannel connection = server.accept()) {
      return readAll(connection, limit);
    }
  }

  /** Reads to the end of the stream. */
  static byte[] readAll(SocketChannel connection, int limit) throws IOException {
    ByteArrayOutputStream state = new ByteArrayOutputStream(64 << 10);
    ByteBuffer buffer = ByteBuffer.allocate(256 << 10);
    while (connection.read(buffer) >= 0) {
      if (state.size() + buffer.position() > limit) {
        throw new IOException("more than " + (limit >> 20) + " MiB of device state");
      }
      state.write(buffer.array(), 0, buffer.position());
      buffer.clear();
    }
    return state.toByteArray();
  }

  /** Writes everything; the caller closes the connection to end the stream. */
  public static void send(SocketChannel connection, ByteBuffer state) throws IOException {
    while (state.hasRemaining()) {
      connection.write(state);
    }
  }
}
