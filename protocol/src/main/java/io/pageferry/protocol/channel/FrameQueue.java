package io.pageferry.protocol.channel;

import io.pageferry.protocol.frame.Frame;
import java.util.ArrayDeque;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Frames that wait for the driver thread. Filled by the event loop, emptied by any thread;
 * everything under one lock. It owns the frames it holds. When it is full the event loop stops
 * reading from the socket, so the peer waits.
 */
final class FrameQueue {
  /** Reading stops above either of these and goes on when the queue is half empty. */
  static final int MAX_FRAMES = 64;

  static final int MAX_BYTES = 4 << 20;

  /**
   * What a single read can still add after reading stopped is bounded by this: empty frames are 16
   * bytes on the wire and far more as objects, so a peer could fill the heap with them.
   */
  static final int FLOOD = 10_000;

  /** What the event loop has to do after a frame was offered. */
  enum Offered {
    TAKEN,
    /** Taken, and reading has to stop. */
    FULL,
    /** Not taken (and released): nobody waits for frames any more. */
    CLOSED,
    /** Not taken (and released): the peer sends without waiting for anything. */
    FLOODED
  }

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition arrived = lock.newCondition();
  private final ArrayDeque<Frame> frames = new ArrayDeque<>();
  private long bytes;
  private boolean paused;
  private boolean ended;
  private boolean closed;

  boolean isEmpty() {
    lock.lock();
    try {
      return frames.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  Offered offer(Frame frame) {
    lock.lock();
    try {
      if (closed || frames.size() >= FLOOD) {
        frame.release();
        return closed ? Offered.CLOSED : Offered.FLOODED;
      }
      frames.add(frame);
      bytes += frame.payload().readableBytes();
      arrived.signal();
      if (frames.size() > MAX_FRAMES || bytes > MAX_BYTES) {
        paused = true;
        return Offered.FULL;
      }
      return Offered.TAKEN;
    } finally {
      lock.unlock();
    }
  }

  /**
   * The next frame, which the caller then owns; null when the time is over, or at once when nothing
   * is left and the channel has ended.
   */
  @Nullable Frame poll(long nanos) throws InterruptedException {
    long left = nanos;
    lock.lockInterruptibly();
    try {
      while (frames.isEmpty()) {
        if (ended || closed || left <= 0) {
          return null;
        }
        left = arrived.awaitNanos(left);
      }
      Frame frame = frames.remove();
      bytes -= frame.payload().readableBytes();
      return frame;
    } finally {
      lock.unlock();
    }
  }

  /** Whether reading has stopped and may go on now; true once for each stop. */
  boolean mayResume() {
    lock.lock();
    try {
      if (paused && frames.size() <= MAX_FRAMES / 2 && bytes <= MAX_BYTES / 2) {
        paused = false;
        return true;
      }
      return false;
    } finally {
      lock.unlock();
    }
  }

  /** Whether reading has stopped and may not go on yet. */
  boolean paused() {
    lock.lock();
    try {
      return paused;
    } finally {
      lock.unlock();
    }
  }

  /** Nothing more will come; what is here may still be taken. */
  void end() {
    lock.lock();
    try {
      ended = true;
      arrived.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Releases everything and takes nothing more. */
  void close() {
    lock.lock();
    try {
      closed = true;
      frames.forEach(Frame::release);
      frames.clear();
      bytes = 0;
      arrived.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
