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
 * writes it into a tmpfs file whose memory is there already, as a target agent has reserved it
 * before the first page. Nothing that moves memory between two processes over TCP by copying can be
 * faster by much.
 *
 * <p>A connection carries the number of bytes (8, big-endian), one byte back when there is memory
 * for them, the bytes, and one byte back when all are written.
 */
final class BareLoop {
  /** Where the loop was fastest among 64 KiB to 4 MiB. */
  private static final int CHUNK = 256 * 1024;

  private static final byte READY = 1;
  private static final byte LANDED = 2;

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
      reserve(image, left, chunk);
      tell(peer, READY);
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
    tell(peer, LANDED);
  }

  private static void reserve(FileChannel image, long bytes, ByteBuffer zeros) throws IOException {
    for (long at = 0; at < bytes; ) {
      zeros.clear().limit((int) Math.min(CHUNK, bytes - at));
      at += image.write(zeros, at);
    }
  }

  private static void tell(SocketChannel peer, byte what) throws IOException {
    writeFully(peer, ByteBuffer.wrap(new byte[] {what}));
  }

  private static void await(SocketChannel sink, byte what) throws IOException {
    ByteBuffer said = ByteBuffer.allocate(1);
    if (sink.read(said) != 1 || said.get(0) != what) {
      throw new IOException("the sink hung up before everything was written");
    }
  }

  private static void source(Path file, int port) throws IOException {
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK);
    try (FileChannel image = FileChannel.open(file, StandardOpenOption.READ);
        SocketChannel sink =
            SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port))) {
      long bytes = image.size();
      writeFully(sink, ByteBuffer.allocate(Long.BYTES).putLong(bytes).flip());
      await(sink, READY);
      long start = System.nanoTime();
      for (long at = 0; at < bytes; ) {
        chunk.clear();
        at += image.read(chunk, at);
        writeFully(sink, chunk.flip());
      }
      await(sink, LANDED);
      System.out.println("nanos " + (System.nanoTime() - start));
    }
  }

  private static void writeFully(SocketChannel sink, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      sink.write(bytes);
    }
  }
}
