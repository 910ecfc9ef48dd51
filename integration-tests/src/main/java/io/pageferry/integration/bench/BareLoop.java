package io.pageferry.integration.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * The yardstick: one plain TCP connection on the loopback, one process reads a tmpfs file, another
 * writes it into a fresh tmpfs file. Nothing that moves memory between two processes over TCP by
 * copying can be faster by much.
 *
 * <p>A connection carries the number of bytes (8, big-endian), the bytes, and one byte back when
 * all are written.
 */
final class BareLoop {
  /** Where the loop was fastest among 64 KiB to 4 MiB. */
  private static final int CHUNK = 256 * 1024;

  private static final byte LANDED = 1;

  private BareLoop() {}

  /**
   * {@code sink FILE}: prints its port, then serves until it is killed. {@code source FILE PORT}:
   * prints nanoseconds.
   */
  public static void main(String[] arguments) throws IOException {
    switch (arguments[0]) {
      case "sink" -> sink(Path.of(arguments[1]));
      case "source" -> source(Path.of(arguments[1]), Integer.parseInt(arguments[2]));
      default -> throw new IllegalArgumentException("sink or source, not " + arguments[0]);
    }
  }

  private static void sink(Path file) throws IOException {
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK);
    try (ServerSocketChannel server = ServerSocketChannel.open()) {
      server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      System.out.println("port " + server.socket().getLocalPort());
      while (true) {
        try (SocketChannel peer = server.accept()) {
          receive(peer, file, chunk);
        } finally {
          Files.deleteIfExists(file);
        }
      }
    }
  }

  private static void receive(SocketChannel peer, Path file, ByteBuffer chunk) throws IOException {
    ByteBuffer head = ByteBuffer.allocate(Long.BYTES);
    while (head.hasRemaining()) {
      if (peer.read(head) < 0) {
        return;
      }
    }
    long left = head.flip().getLong();
    try (FileChannel image =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      long at = 0;
      while (left > 0) {
        chunk.clear().limit((int) Math.min(CHUNK, left));
        if (peer.read(chunk) < 0) {
          return;
        }
        chunk.flip();
        while (chunk.hasRemaining()) {
          int written = image.write(chunk, at);
          at += written;
          left -= written;
        }
      }
    }
    ByteBuffer landed = ByteBuffer.wrap(new byte[] {LANDED});
    while (landed.hasRemaining()) {
      peer.write(landed);
    }
  }

  private static void source(Path file, int port) throws IOException {
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK);
    try (FileChannel image = FileChannel.open(file, StandardOpenOption.READ);
        SocketChannel sink =
            SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port))) {
      long bytes = image.size();
      long start = System.nanoTime();
      writeFully(sink, ByteBuffer.allocate(Long.BYTES).putLong(bytes).flip());
      for (long at = 0; at < bytes; ) {
        chunk.clear();
        at += image.read(chunk, at);
        writeFully(sink, chunk.flip());
      }
      ByteBuffer landed = ByteBuffer.allocate(1);
      if (sink.read(landed) != 1 || landed.get(0) != LANDED) {
        throw new IOException("the sink hung up before everything was written");
      }
      System.out.println("nanos " + (System.nanoTime() - start));
    }
  }

  private static void writeFully(SocketChannel sink, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      sink.write(bytes);
    }
  }
}
