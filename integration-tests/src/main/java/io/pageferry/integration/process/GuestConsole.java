package io.pageferry.integration.process;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The serial line of a guest in QEMU, on one host: its heartbeat, stamped when it arrives, and what
 * it says of its memory.
 *
 * <p>A thread of its own connects as soon as somebody listens there and reads until the guest's
 * process ends. What it found may be asked by any thread.
 */
public final class GuestConsole implements AutoCloseable {
  private static final Pattern READY = Pattern.compile("ready (?:pages|records)=(\\d+)");
  private static final Pattern BEAT = Pattern.compile("beat (\\d+)");
  private static final Pattern VERIFIED =
      Pattern.compile(
          "verified (?:pages|records)=(\\d+) faults=(\\d+) (?:writes|operations)=(\\d+)");
  private static final Pattern FREED = Pattern.compile("freed pages=(\\d+)");
  private static final long RETRY_NANOS = 5_000_000;

  /**
   * A beat of the guest.
   *
   * @param number counts up, also across a migration; of a database: how many operations it did
   * @param nanos when it arrived, by {@link System#nanoTime}
   */
  public record Beat(long number, long nanos) {}

  /**
   * What the guest found when it checked each page that it has written, or each record of its
   * database.
   *
   * @param pages or records
   * @param faults that it ever found, on either host
   * @param writes pages written since it began, or operations of the database
   */
  public record Verification(long pages, long faults, long writes) {}

  private final Path socket;
  private final Thread thread;
  private final List<String> faults = new ArrayList<>();
  private @Nullable SocketChannel channel;
  private @Nullable Beat first;
  private @Nullable Beat last;
  private @Nullable Verification verification;
  private @Nullable Long freed;
  private long longestGapNanos;
  private long pages;
  private boolean closed;
  private boolean ended;

  private GuestConsole(Path socket) {
    this.socket = socket;
    this.thread =
        Thread.ofPlatform().daemon().name("console-" + socket.getFileName()).unstarted(this::read);
  }

  /** Reads what comes from that socket, once there is one. */
  public static GuestConsole watch(Path socket) {
    GuestConsole console = new GuestConsole(socket);
    console.thread.start();
    return console;
  }

  private void read() {
    try (SocketChannel connected = connect()) {
      ByteBuffer buffer = ByteBuffer.allocate(4096);
      ByteArrayOutputStream line = new ByteArrayOutputStream();
      while (connected.read(buffer) >= 0) {
        long nanos = System.nanoTime();
        buffer.flip();
        while (buffer.hasRemaining()) {
          byte next = buffer.get();
          if (next == '\n') {
            heard(line.toString(StandardCharsets.UTF_8).strip(), nanos);
            line.reset();
          } else {
            line.write(next);
          }
        }
        buffer.clear();
      }
    } catch (IOException hungUp) {
      // Closed from here, or the guest's process is gone.
    } finally {
      synchronized (this) {
        ended = true;
        notifyAll();
      }
    }
  }

  private SocketChannel connect() throws IOException {
    while (true) {
      synchronized (this) {
        if (closed) {
          throw new IOException("closed");
        }
      }
      SocketChannel opened = null;
      try {
        opened = SocketChannel.open(UnixDomainSocketAddress.of(socket));
        synchronized (this) {
          if (closed) {
            throw new IOException("closed");
          }
          channel = opened;
          notifyAll();
          return opened;
        }
      } catch (IOException notYet) {
        if (opened != null) {
          opened.close();
        }
        LockSupport.parkNanos(RETRY_NANOS);
      }
    }
  }

  private synchronized void heard(String line, long nanos) {
    Matcher beat = BEAT.matcher(line);
    Matcher ready = READY.matcher(line);
    Matcher verified = VERIFIED.matcher(line);
    Matcher given = FREED.matcher(line);
    if (beat.matches()) {
      beaten(new Beat(Long.parseLong(beat.group(1)), nanos));
    } else if (line.startsWith("fault ")) {
      faults.add(line.substring("fault ".length()));
    } else if (ready.matches()) {
      pages = Long.parseLong(ready.group(1));
    } else if (verified.matches()) {
      verification =
          new Verification(
              Long.parseLong(verified.group(1)),
              Long.parseLong(verified.group(2)),
              Long.parseLong(verified.group(3)));
    } else if (given.matches()) {
      freed = Long.parseLong(given.group(1));
    }
    notifyAll();
  }

  private void beaten(Beat beat) {
    if (first == null) {
      first = beat;
    }
    if (last != null) {
      longestGapNanos = Math.max(longestGapNanos, beat.nanos() - last.nanos());
    }
    last = beat;
  }

  private interface Condition {
    boolean met();
  }

  private synchronized void await(String what, Duration limit, Condition condition)
      throws ProcessFailure, InterruptedException {
    long deadline = System.nanoTime() + limit.toNanos();
    while (!condition.met()) {
      long millis = (deadline - System.nanoTime()) / 1_000_000;
      if (millis <= 0 || ended) {
        throw new ProcessFailure(
            "no %s from the guest at %s %s"
                .formatted(what, socket, ended ? "before it ended" : "in time"));
      }
      wait(millis);
    }
  }

  /** Waits until somebody listens there: QEMU has started, whatever its guest does. */
  public synchronized void awaitConnected(Duration limit)
      throws ProcessFailure, InterruptedException {
    await("connection", limit, () -> channel != null);
  }

  /**
   * Waits until the guest has booted and written its memory.
   *
   * @return how many pages it has written
   */
  public synchronized long awaitReady(Duration limit) throws ProcessFailure, InterruptedException {
    await("sign of readiness", limit, () -> pages > 0 && last != null);
    return pages;
  }

  /** Whether a heartbeat arrives here in that time. */
  public synchronized boolean isHeardWithin(Duration limit) throws InterruptedException {
    long deadline = System.nanoTime() + limit.toNanos();
    while (first == null && !ended) {
      long millis = (deadline - System.nanoTime()) / 1_000_000;
      if (millis <= 0) {
        return false;
      }
      wait(millis);
    }
    return first != null;
  }

  /** Waits for the first heartbeat that arrives here. */
  public synchronized Beat awaitFirstBeat(Duration limit)
      throws ProcessFailure, InterruptedException {
    await("heartbeat", limit, () -> first != null);
    return Objects.requireNonNull(first);
  }

  /** Waits for another heartbeat: the guest runs. */
  public synchronized Beat awaitNextBeat(Duration limit)
      throws ProcessFailure, InterruptedException {
    Beat before = last;
    await("heartbeat", limit, () -> last != null && !last.equals(before));
    return Objects.requireNonNull(last);
  }

  /** Waits until the guest's process has hung up. */
  public synchronized void awaitEnd(Duration limit) throws ProcessFailure, InterruptedException {
    long deadline = System.nanoTime() + limit.toNanos();
    while (!ended) {
      long millis = (deadline - System.nanoTime()) / 1_000_000;
      if (millis <= 0) {
        throw new ProcessFailure("the guest at " + socket + " does not end");
      }
      wait(millis);
    }
  }

  /** The last heartbeat so far. */
  public synchronized @Nullable Beat lastBeat() {
    return last;
  }

  /** The longest time between two heartbeats so far, on this host. */
  public synchronized Duration longestGap() {
    return Duration.ofNanos(longestGapNanos);
  }

  /** Pages that the guest found wrong by itself, in its words. */
  public synchronized List<String> faults() {
    return List.copyOf(faults);
  }

  /**
   * Has the guest check each page that it has written, and waits for what it finds.
   *
   * @throws IOException if it does not answer
   */
  public synchronized Verification verify(Duration limit) throws IOException, InterruptedException {
    verification = null;
    say("verify");
    await("verification", limit, () -> verification != null);
    return Objects.requireNonNull(verification);
  }

  /**
   * Has the guest give the memory that it has filled with noise back to its kernel.
   *
   * @return how many pages
   * @throws IOException if it does not answer
   */
  public synchronized long freeNoise(Duration limit) throws IOException, InterruptedException {
    freed = null;
    say("free");
    await("word of freed memory", limit, () -> freed != null);
    return Objects.requireNonNull(freed);
  }

  private void say(String line) throws IOException {
    if (channel == null) {
      throw new ProcessFailure("the guest at " + socket + " has no serial line yet");
    }
    ByteBuffer request = StandardCharsets.UTF_8.encode(line + "\n");
    while (request.hasRemaining()) {
      channel.write(request);
    }
  }

  @Override
  public synchronized void close() {
    closed = true;
    try {
      if (channel != null) {
        channel.close();
      }
    } catch (IOException ignored) {
      // Nothing more is to be read there.
    }
  }
}
