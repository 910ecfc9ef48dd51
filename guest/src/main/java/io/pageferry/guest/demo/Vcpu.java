package io.pageferry.guest.demo;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/**
 * The guest's only processor: a thread that ticks, writes pages at the rate asked for, and checks
 * all others in passing.
 *
 * <p>A tick comes at least every quarter of a millisecond or so: writes are done in slices of
 * {@link #SLICE_NANOS}, and between them the thread sleeps {@link #SLEEP_NANOS} where it is ahead
 * of its rate. A tick notes when the guest ran; the longest time between two is what the guest saw
 * of any interruption.
 *
 * <p>Threading: registers and memory belong to this thread. {@link #stop} returns when it stands
 * still; until {@link #cont} the caller may then use them (the lock orders the two).
 */
final class Vcpu {
  private static final long SLICE_NANOS = 200_000;
  private static final long SLEEP_NANOS = 250_000;

  /** How many writes there are between two looks at the clock: about 20 µs. */
  private static final int WRITES_A_LOOK = 16;

  /** Bytes that the background check covers a second: one or two per cent of a core. */
  static final long CHECK_RATE = 128L << 20;

  /** What may be caught up after the scheduler kept the thread away, in seconds of its rate. */
  private static final double CATCH_UP_SECONDS = 0.1;

  private final GuestMemory memory;
  private final GuestCounters counters;
  private final PageContent content;
  private final Registers registers;
  private final PageCheck check;
  private final PageWriter writer;
  private final double checkedASecond;
  private final Thread thread;

  /** Set by others under {@link #lock}, read by the thread in each round without it. */
  private volatile boolean interruptionWanted;

  private volatile boolean broken;

  private final Object lock = new Object();
  private boolean wantRunning;
  private boolean running;
  private boolean ended;
  private boolean resetGap;
  private long checksWanted;
  private long checksDone;
  private long checksCovered;

  private long handoverGapMicros;
  private boolean arrived;
  private double writeCredit;
  private double checkCredit;
  private long lastNanos;
  private long wholeCheckNext = -1;

  /**
   * A processor that stands still.
   *
   * @param checkRate bytes that the background check covers a second
   * @param arrived whether the registers came from another process, so that the first tick ends a
   *     hand-over
   */
  Vcpu(
      GuestMemory memory,
      Registers registers,
      PageContent content,
      GuestCounters counters,
      long checkRate,
      boolean arrived) {
    this.memory = memory;
    this.registers = registers;
    this.content = content;
    this.counters = counters;
    this.check = new PageCheck(memory, registers);
    this.writer = new PageWriter(memory, registers, content, check);
    this.checkedASecond = (double) checkRate / PageFormat.BYTES;
    this.arrived = arrived;
    this.thread = Thread.ofPlatform().name("vcpu").daemon().unstarted(this::run);
    counters.publish(registers, 0, System.nanoTime());
  }

  /** Starts the thread, which stands still until {@link #cont}. */
  Vcpu start() {
    thread.start();
    return this;
  }

  Registers registers() {
    return registers;
  }

  PageContent content() {
    return content;
  }

  /** Lets the processor run. */
  void cont() {
    synchronized (lock) {
      wantRunning = true;
      lock.notifyAll();
    }
  }

  /** Returns when no instruction runs any more. */
  void stop() throws InterruptedException {
    synchronized (lock) {
      wantRunning = false;
      interrupt();
      while (running && !ended) {
        lock.wait();
      }
    }
  }

  /**
   * Ends the thread; returns when it no longer touches the memory, or after two seconds: a thread
   * that waits for a page which nobody brings any more cannot be ended but with its process.
   *
   * @return whether it has ended
   */
  boolean end() throws InterruptedException {
    synchronized (lock) {
      ended = true;
      wantRunning = false;
      interrupt();
    }
    return thread.join(Duration.ofSeconds(2));
  }

  /** Measures the longest gap anew from the next tick on. */
  void resetLongestGap() {
    synchronized (lock) {
      if (running) {
        resetGap = true;
        interrupt();
      } else {
        registers.longestGapMicros = 0;
        counters.publish(registers, handoverGapMicros, System.nanoTime());
      }
    }
  }

  /** Whether the processor stopped because memory could not be read or written. */
  boolean broken() {
    return broken;
  }

  /**
   * Has every page checked once, running or not; returns when that is done.
   *
   * @return false when the processor ended first, so that not all pages were checked
   */
  boolean checkAll() throws InterruptedException {
    synchronized (lock) {
      long mine = ++checksWanted;
      interrupt();
      while (checksDone < mine && !ended) {
        lock.wait();
      }
      return checksDone >= mine;
    }
  }

  /** Called with the lock held: the thread looks at what is wanted at its next look. */
  private void interrupt() {
    interruptionWanted = true;
    lock.notifyAll();
    LockSupport.unpark(thread);
  }

  private void run() {
    try {
      while (attend()) {
        round();
      }
    } catch (RuntimeException | InternalError e) {
      // The kernel had no memory for a page, or could not read one: a fault like any other.
      registers.faults++;
      if (registers.firstFault == null) {
        registers.firstFault = "the processor stopped: " + e;
      }
      counters.publish(registers, handoverGapMicros, System.nanoTime());
      broken = true;
    } finally {
      synchronized (lock) {
        ended = true;
        running = false;
        lock.notifyAll();
      }
    }
  }

  /**
   * Does what others asked for and waits while the guest is to stand still.
   *
   * @return false when the thread is to end
   */
  private boolean attend() {
    if (running && !interruptionWanted) {
      return true;
    }
    synchronized (lock) {
      interruptionWanted = false;
      if (resetGap) {
        resetGap = false;
        registers.longestGapMicros = 0;
      }
      beginWholeCheck();
      while (!wantRunning && !ended) {
        if (running) {
          running = false;
          noteLastTick();
          lock.notifyAll();
        }
        beginWholeCheck();
        if (wholeCheckNext >= 0) {
          // Nothing else happens while the guest stands still, so all of it at once.
          checkUntil(Long.MAX_VALUE);
          continue;
        }
        try {
          lock.wait();
        } catch (InterruptedException e) {
          ended = true;
        }
      }
      if (!running && !ended) {
        running = true;
        counters.forgetRate();
        writeCredit = 0;
        checkCredit = 0;
        lastNanos = System.nanoTime();
        firstTick();
      }
      return !ended;
    }
  }

  /** Called with the lock held. */
  private void beginWholeCheck() {
    if (checksDone < checksWanted && wholeCheckNext < 0) {
      wholeCheckNext = 0;
      checksCovered = checksWanted;
    }
  }

  /** The first tick after standing still, or ever: the pause counts as a gap. */
  private void firstTick() {
    GuestClock last = registers.lastTick;
    if (last != null) {
      long gap = last.microsUntil(GuestClock.at(lastNanos));
      registers.longestGapMicros = Math.max(registers.longestGapMicros, gap);
      if (arrived) {
        handoverGapMicros = Math.max(1, gap);
      }
    }
    arrived = false;
    registers.ticks++;
    counters.publish(registers, handoverGapMicros, lastNanos);
  }

  private void noteLastTick() {
    registers.lastTick = GuestClock.at(lastNanos);
    counters.publish(registers, handoverGapMicros, lastNanos);
    counters.forgetRate();
  }

  private void round() {
    double seconds = tick(System.nanoTime());
    long sliceEnd = lastNanos + SLICE_NANOS;
    boolean behind = write(seconds, sliceEnd);
    checkSome(seconds);
    if (wholeCheckNext >= 0) {
      checkUntil(System.nanoTime() + SLICE_NANOS);
      behind = true;
    }
    if (!behind && !interruptionWanted) {
      LockSupport.parkNanos(this, SLEEP_NANOS);
    }
    if (interruptionWanted) {
      // The guest ran until now: what follows is not its own time.
      tick(System.nanoTime());
    }
  }

  /** Notes that the guest runs; returns the seconds since it last did. */
  private double tick(long now) {
    long nanos = now - lastNanos;
    lastNanos = now;
    registers.ticks++;
    registers.longestGapMicros = Math.max(registers.longestGapMicros, nanos / 1000);
    counters.publish(registers, handoverGapMicros, now);
    return (double) nanos / 1e9;
  }

  /** Writes what the rate asks for, at most until {@code sliceEnd}; returns whether more is due. */
  private boolean write(double seconds, long sliceEnd) {
    if (registers.dirtyRate == Long.MAX_VALUE) {
      writeCredit = Double.MAX_VALUE;
    } else {
      double rate = (double) registers.dirtyRate / PageFormat.BYTES;
      writeCredit = Math.min(writeCredit + seconds * rate, Math.max(1, rate * CATCH_UP_SECONDS));
    }
    while (writeCredit >= 1) {
      for (int i = 0; i < WRITES_A_LOOK && writeCredit >= 1; i++) {
        writer.writeNext();
        writeCredit--;
      }
      if (interruptionWanted || System.nanoTime() - sliceEnd >= 0) {
        return true;
      }
    }
    return false;
  }

  private void checkSome(double seconds) {
    checkCredit = Math.min(checkCredit + seconds * checkedASecond, 64);
    while (checkCredit >= 1) {
      checkCredit--;
      check.page(registers.strideNext);
      registers.strideNext = (registers.strideNext + 1) % memory.pages();
    }
  }

  /** Goes on with the whole check, until it is done or {@link System#nanoTime} says so. */
  private void checkUntil(long deadline) {
    while (wholeCheckNext < memory.pages()) {
      long end = Math.min(wholeCheckNext + WRITES_A_LOOK, memory.pages());
      while (wholeCheckNext < end) {
        check.page(wholeCheckNext++);
      }
      if (deadline != Long.MAX_VALUE && System.nanoTime() - deadline >= 0) {
        break;
      }
    }
    if (wholeCheckNext >= memory.pages()) {
      wholeCheckNext = -1;
      counters.publish(registers, handoverGapMicros, System.nanoTime());
      synchronized (lock) {
        checksDone = checksCovered;
        // Another may have been asked for meanwhile; it counts from the first page.
        interruptionWanted |= checksDone < checksWanted;
        lock.notifyAll();
      }
    }
  }

  /** The registers as device state; the processor must stand still. */
  ByteBuffer save() {
    return RegistersCodec.encode(registers, memory);
  }

  /** A processor with the registers of a device state; touches no page of the memory. */
  static Vcpu restored(byte[] state, GuestMemory memory, GuestCounters counters, long checkRate)
      throws IOException {
    Registers registers = RegistersCodec.decode(state, memory);
    return new Vcpu(memory, registers, new PageContent(registers.seed), counters, checkRate, true);
  }

  /** Runs writes and checks on the calling thread, to have them compiled. */
  static void exercise(GuestMemory scratch, Registers registers, PageContent content, int writes) {
    Vcpu vcpu = new Vcpu(scratch, registers, content, new GuestCounters(), CHECK_RATE, false);
    vcpu.lastNanos = System.nanoTime();
    for (int done = 0; done < writes; done += WRITES_A_LOOK) {
      vcpu.tick(System.nanoTime());
      vcpu.writeCredit = 0;
      vcpu.write(
          WRITES_A_LOOK * (double) PageFormat.BYTES / Math.max(1, registers.dirtyRate),
          System.nanoTime() + SLICE_NANOS);
      vcpu.checkSome(0.0005);
    }
  }
}
