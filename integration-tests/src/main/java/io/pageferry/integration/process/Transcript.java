package io.pageferry.integration.process;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * What a process has written so far, line by line, both of its streams in the order they were read.
 * Keeps the last {@value #MOST_LINES} lines, so that a talkative process cannot fill this one's
 * memory.
 *
 * <p>Threads: any; guarded by its own monitor.
 */
public final class Transcript {
  private static final int MOST_LINES = 5_000;

  /** Which stream a line came from. */
  public enum Stream {
    /** Standard output. */
    OUT,
    /** Standard error. */
    ERR
  }

  private record Line(Stream stream, String text) {}

  private final Deque<Line> lines = new ArrayDeque<>();
  private long dropped;
  private int openStreams;

  Transcript(int openStreams) {
    this.openStreams = openStreams;
  }

  synchronized void add(Stream stream, String text) {
    if (lines.size() == MOST_LINES) {
      lines.removeFirst();
      dropped++;
    }
    lines.addLast(new Line(stream, text));
    notifyAll();
  }

  synchronized void streamEnded() {
    openStreams--;
    notifyAll();
  }

  /** All lines kept, as text. */
  public synchronized String text() {
    StringBuilder text = new StringBuilder();
    if (dropped > 0) {
      text.append("… ").append(dropped).append(" earlier lines …\n");
    }
    lines.forEach(line -> text.append(line.text).append('\n'));
    return text.toString();
  }

  /** The lines of one stream. */
  public synchronized List<String> lines(Stream stream) {
    List<String> found = new ArrayList<>();
    for (Line line : lines) {
      if (line.stream == stream) {
        found.add(line.text);
      }
    }
    return found;
  }

  /**
   * Waits for a line.
   *
   * @param wanted what the line is to be like; lines that came earlier count
   * @param limit how long to wait
   * @return the first such line, or empty when the limit passed or both streams ended without one
   * @throws InterruptedException if this thread was interrupted
   */
  public synchronized Optional<String> await(Predicate<String> wanted, Duration limit)
      throws InterruptedException {
    long deadline = System.nanoTime() + limit.toNanos();
    while (true) {
      for (Line line : lines) {
        if (wanted.test(line.text)) {
          return Optional.of(line.text);
        }
      }
      long millis = (deadline - System.nanoTime()) / 1_000_000;
      if (openStreams == 0 || millis <= 0) {
        return Optional.empty();
      }
      wait(Math.min(millis, 1_000));
    }
  }

  /**
   * Waits until both streams have ended, so that nothing is missing from {@link #text()}.
   *
   * @param limit how long to wait; a grandchild that inherited a stream can hold it open for ever
   * @throws InterruptedException if this thread was interrupted
   */
  public synchronized void awaitEnd(Duration limit) throws InterruptedException {
    long deadline = System.nanoTime() + limit.toNanos();
    while (openStreams > 0) {
      long millis = (deadline - System.nanoTime()) / 1_000_000;
      if (millis <= 0) {
        return;
      }
      wait(millis);
    }
  }
}
