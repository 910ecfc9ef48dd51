package io.pageferry.integration.bench;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * The yardstick of a page fault: one process asks another over one plain TCP connection on the
 * loopback, one question at a time, and gets 4 KiB of memory for an answer. Both wait in the kernel
 * and do nothing else.
 */
final class PagePingPong {
  /** As long as a request for one page. */
  private static final int QUESTION = 40;

  private static final int PAGE = 4096;

  /** Not counted: by then both are compiled. */
  private static final int WARM_UP = 5000;

  private PagePingPong() {}

  /**
   * {@code answer}: prints its port, then serves until it is killed. {@code ask PORT TIMES MICROS}:
   * asks so many times with a pause of so many microseconds before each question, and prints the
   * median of nanoseconds from question to answer.
   */
  public static void main(String[] arguments) throws IOException {
    switch (arguments[0]) {
      case "answer" -> answer();
      case "ask" ->
          ask(
              Integer.parseInt(arguments[1]),
              Integer.parseInt(arguments[2]),
              TimeUnit.MICROSECONDS.toNanos(Long.parseLong(arguments[3])));
      default -> throw new IllegalArgumentException("answer or ask, not " + arguments[0]);
    }
  }

  private static void answer() throws IOException {
    ByteBuffer question = ByteBuffer.allocateDirect(QUESTION);
    ByteBuffer page = ByteBuffer.allocateDirect(PAGE);
    try (ServerSocketChannel server = ServerSocketChannel.open()) {
      server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      System.out.println("port " + server.socket().getLocalPort());
      while (true) {
        try (SocketChannel peer = server.accept()) {
          peer.setOption(StandardSocketOptions.TCP_NODELAY, true);
          while (true) {
            readFully(peer, question);
            writeFully(peer, page);
          }
        } catch (EOFException nextOne) {
          // It has asked all it wanted to.
        }
      }
    }
  }

  private static void ask(int port, int times, long pauseNanos) throws IOException {
    ByteBuffer question = ByteBuffer.allocateDirect(QUESTION);
    ByteBuffer page = ByteBuffer.allocateDirect(PAGE);
    long[] nanos = new long[times];
    try (SocketChannel peer =
        SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port))) {
      peer.setOption(StandardSocketOptions.TCP_NODELAY, true);
      for (int i = -WARM_UP; i < times; i++) {
        if (pauseNanos > 0 && i >= 0) {
          LockSupport.parkNanos(pauseNanos);
        }
        long start = System.nanoTime();
        writeFully(peer, question);
        readFully(peer, page);
        if (i >= 0) {
          nanos[i] = System.nanoTime() - start;
        }
      }
    }
    Arrays.sort(nanos);
    System.out.println("nanos " + nanos[times / 2]);
  }

  private static void readFully(SocketChannel peer, ByteBuffer bytes) throws IOException {
    bytes.clear();
    while (bytes.hasRemaining()) {
      if (peer.read(bytes) < 0) {
        throw new EOFException();
      }
    }
  }

  private static void writeFully(SocketChannel peer, ByteBuffer bytes) throws IOException {
    bytes.clear();
    while (bytes.hasRemaining()) {
      peer.write(bytes);
    }
  }
}
