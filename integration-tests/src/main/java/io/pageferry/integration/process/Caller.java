package io.pageferry.integration.process;

import io.pageferry.guest.linux.NetworkNamespace;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A TCP client that sends numbered lines to an echoing server without waiting for the answers, and
 * knows each byte that has to come back: one that is lost, doubled or of another line is found, as
 * is a connection that ends.
 *
 * <p>Threads: one sends, one listens; what they found may be asked by any thread.
 */
public final class Caller implements AutoCloseable {
  private static final Duration CALL_LIMIT = Duration.ofSeconds(20);
  private static final long PERIOD_NANOS = 2_000_000;
  private static final String FILLER = "the guest moves while it talks, ".repeat(16);

  /**
   * What was said.
   *
   * @param lines how many came back, each as it was sent
   * @param bytes how long they were
   * @param longestPause the longest time without an answer while it talked
   */
  public record Conversation(long lines, long bytes, Duration longestPause) {}

  private final SocketChannel channel;
  private boolean talks;
  private boolean closed;
  private long sent;
  private long answered;
  private long bytes;
  private long lastAnswerNanos;
  private long longestPauseNanos;
  private @Nullable String broken;

  private Caller(SocketChannel channel) {
    this.channel = channel;
  }

  /**
   * Connects from within a network namespace; nothing is said yet.
   *
   * @param namespace its file
   * @throws IOException if the server does not take the call
   * @throws InterruptedException if this thread was interrupted
   */
  static Caller call(Path namespace, InetSocketAddress server)
      throws IOException, InterruptedException {
    Caller caller = new Caller(connect(namespace, server));
    Thread.ofPlatform().daemon().name("caller-talks").start(caller::send);
    Thread.ofPlatform().daemon().name("caller-listens").start(caller::listen);
    return caller;
  }

  /** A socket stays in the namespace that it was opened in; the thread that is there ends. */
  private static SocketChannel connect(Path namespace, InetSocketAddress server)
      throws IOException, InterruptedException {
    CompletableFuture<SocketChannel> connected = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .name("caller-connects")
        .start(
            () -> {
              try {
                NetworkNamespace.enter(namespace);
                connected.complete(connect(server));
              } catch (IOException | RuntimeException failure) {
                connected.completeExceptionally(failure);
              }
            });
    try {
      return connected.get();
    } catch (ExecutionException failure) {
      throw new IOException("no call to " + server + ": " + failure.getCause(), failure);
    }
  }

  private static SocketChannel connect(InetSocketAddress server) throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.INET);
    boolean connected = false;
    try {
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      channel.socket().connect(server, Math.toIntExact(CALL_LIMIT.toMillis()));
      connected = true;
      return channel;
    } finally {
      if (!connected) {
        channel.close();
      }
    }
  }

  /** The line of a number; their lengths differ, so that one cannot stand for another. */
  private static byte[] line(long number) {
    int length = (int) (number * 37 % FILLER.length());
    return (number + " " + FILLER.substring(0, length) + "\n").getBytes(StandardCharsets.US_ASCII);
  }

  private void send() {
    try {
      for (long due = System.nanoTime(); ; due = Math.max(due + PERIOD_NANOS, System.nanoTime())) {
        ByteBuffer line = ByteBuffer.wrap(line(nextToSend()));
        while (line.hasRemaining()) {
          channel.write(line);
        }
        LockSupport.parkNanos(due + PERIOD_NANOS - System.nanoTime());
      }
    } catch (IOException failure) {
      breakOff("it cannot be sent to any more: " + failure.getMessage());
    } catch (InterruptedException nobodyDoes) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized long nextToSend() throws IOException, InterruptedException {
    while (!talks && !closed) {
      wait();
    }
    if (closed) {
      throw new IOException("closed");
    }
    return sent++;
  }

  private void listen() {
    ByteBuffer heard = ByteBuffer.allocate(16 * 1024);
    byte[] expected = line(0);
    int at = 0;
    try {
      while (channel.read(heard.clear()) >= 0) {
        heard.flip();
        while (heard.hasRemaining()) {
          byte next = heard.get();
          if (next != expected[at]) {
            breakOff("a byte came back that is not the next one");
            return;
          }
          if (++at == expected.length) {
            expected = line(answered(at));
            at = 0;
          }
        }
        if (at > 0) {
          requireSent();
        }
      }
      breakOff("the server has ended it");
    } catch (IOException failure) {
      breakOff(String.valueOf(failure.getMessage()));
    }
  }

  /**
   * Counts an answer.
   *
   * @return the next one's number
   */
  private synchronized long answered(int length) throws IOException {
    requireSent();
    long now = System.nanoTime();
    longestPauseNanos = Math.max(longestPauseNanos, now - lastAnswerNanos);
    lastAnswerNanos = now;
    bytes += length;
    answered++;
    notifyAll();
    return answered;
  }

  private synchronized void requireSent() throws IOException {
    if (answered == sent) {
      throw new IOException("more comes back than was sent");
    }
  }

  private synchronized void breakOff(String why) {
    if (broken == null && !closed) {
      broken = "the client's connection broke after line %d: %s".formatted(answered, why);
    }
    notifyAll();
  }

  /** Begins to talk, or goes on. */
  public synchronized void talk() {
    lastAnswerNanos = System.nanoTime();
    talks = true;
    notifyAll();
  }

  /**
   * Falls silent, and waits until everything has come back.
   *
   * @throws ProcessFailure if it does not, or the connection has broken
   * @throws InterruptedException if this thread was interrupted
   */
  public synchronized Conversation hush(Duration limit)
      throws ProcessFailure, InterruptedException {
    talks = false;
    return awaitAnswers(sent, limit);
  }

  /**
   * Waits until something that is said from now on has come back.
   *
   * @throws ProcessFailure if it does not, or the connection has broken
   * @throws InterruptedException if this thread was interrupted
   */
  public synchronized Conversation awaitAnswer(Duration limit)
      throws ProcessFailure, InterruptedException {
    return awaitAnswers(sent + 1, limit);
  }

  private synchronized Conversation awaitAnswers(long lines, Duration limit)
      throws ProcessFailure, InterruptedException {
    long deadline = System.nanoTime() + limit.toNanos();
    while (answered < lines && broken == null) {
      long millis = (deadline - System.nanoTime()) / 1_000_000;
      if (millis <= 0) {
        throw new ProcessFailure(
            "the client waits for line %d of %d, which has not come back within %s"
                .formatted(answered, sent, limit));
      }
      wait(millis);
    }
    if (broken != null) {
      throw new ProcessFailure(broken);
    }
    return new Conversation(answered, bytes, Duration.ofNanos(longestPauseNanos));
  }

  /** Ends the connection. */
  @Override
  public synchronized void close() {
    closed = true;
    notifyAll();
    try {
      channel.close();
    } catch (IOException ignored) {
      // Nothing more is to be heard of it.
    }
  }
}
