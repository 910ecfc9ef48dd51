package io.pageferry.agent.local;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** Lines over a socket, each of bounded length and within a bounded time. One thread. */
final class LineChannel {
  /** A longer line is refused: neither side ever needs more, and a stranger's has no end. */
  static final int MAX_LINE = 256 * 1024;

  private final SocketChannel channel;
  private final Duration timeout;

  LineChannel(SocketChannel channel, Duration timeout) {
    this.channel = channel;
    this.timeout = timeout;
  }

  /** The next line without its line feed; what follows it in the same read is dropped. */
  String readLine() throws IOException {
    ByteBuffer line = ByteBuffer.allocate(4096);
    long deadline = System.nanoTime() + timeout.toNanos();
    channel.configureBlocking(false);
    try (Selector selector = Selector.open()) {
      channel.register(selector, SelectionKey.OP_READ);
      int scanned = 0;
      while (true) {
        for (; scanned < line.position(); scanned++) {
          if (line.get(scanned) == '\n') {
            return new String(line.array(), 0, scanned, StandardCharsets.UTF_8);
          }
        }
        if (!line.hasRemaining()) {
          line = grown(line);
        }
        await(selector, deadline);
        if (channel.read(line) < 0) {
          throw new EOFException("the connection ended in the middle of a line");
        }
      }
    } finally {
      if (channel.isOpen()) {
        channel.configureBlocking(true);
      }
    }
  }

  void writeLine(String line) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
    long deadline = System.nanoTime() + timeout.toNanos();
    channel.configureBlocking(false);
    try (Selector selector = Selector.open()) {
      channel.register(selector, SelectionKey.OP_WRITE);
      while (bytes.hasRemaining()) {
        await(selector, deadline);
        channel.write(bytes);
      }
    }
    channel.configureBlocking(true);
  }

  private static ByteBuffer grown(ByteBuffer full) throws IOException {
    if (full.capacity() >= MAX_LINE) {
      throw new IOException("a line of more than " + MAX_LINE + " bytes");
    }
    full.flip();
    return ByteBuffer.allocate(Math.min(MAX_LINE, full.capacity() * 2)).put(full);
  }

  private void await(Selector selector, long deadline) throws IOException {
    long left = (deadline - System.nanoTime()) / 1_000_000;
    if (left > 0) {
      selector.selectedKeys().clear();
      if (selector.select(left) > 0) {
        return;
      }
    }
    throw new IOException("nothing heard within " + timeout.toMillis() + " ms");
  }
}
