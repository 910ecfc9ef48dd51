package io.pageferry.guest.attach;

import io.pageferry.guest.attach.AttachException.Problem;
import io.pageferry.guest.linux.CallRegisters;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.ThreadStop;
import io.pageferry.guest.linux.TracedThread;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Has one thread of another process make one system call and go on where it was.
 *
 * <p>The thread is asked to stop, which interrupts what it sleeps in; its registers are kept, set
 * to a system call instruction in its own process, and put back after a single step. Nothing is
 * written to its memory, its stack included. An interrupted call is taken up again by the kernel
 * when the thread goes on, as after any stop of the process. A signal that comes in between is
 * delivered on the thread's own registers, and then all begins anew. A thread of a stopped process
 * makes that one step and is stopped again.
 *
 * <p>From the moment in which the registers are others until they are its own again this is not
 * given up, and the end of this process waits for it, unless it is killed: the thread would go on
 * astray. A thread that does not take its step, because it is frozen, is stopped and gets them
 * back.
 *
 * <p>All of it runs on a thread of its own, which ends with it: that lets go of a traced thread
 * that did not stop, as nothing else can.
 */
final class CallInjection implements Runnable {
  /** How long a thread may take to stop. */
  static final Duration STOP = Duration.ofSeconds(1);

  /** Behind a call of its own a thread has its trap at once, if there is one. */
  private static final Duration TRAP = Duration.ofMillis(20);

  /** Taken while a thread's registers may be others than its own. */
  private static final Semaphore ASTRAY = new Semaphore(1);

  static {
    try {
      Runtime.getRuntime().addShutdownHook(new Thread(CallInjection::awaitNone, "attach-end"));
    } catch (IllegalStateException e) {
      // This process ends already, and whoever attaches now is waited for.
    }
  }

  /** Looks at a thread before pauses are made: about 100 µs. */
  private static final int SPIN = 200;

  private static final long PAUSE_NANOS = 20_000;

  private final int thread;
  private final CallRegisters machine;
  private final long instruction;
  private final long call;
  private final long[] alternatives;
  private final MemorySegment own = Arena.ofAuto().allocate(CallRegisters.MOST_BYTES, 8);
  private final MemorySegment work = Arena.ofAuto().allocate(CallRegisters.MOST_BYTES, 8);

  /** When the thread certainly ran last. */
  private long ran;

  /** Whether the thread has not taken its step in time. */
  private boolean frozen;

  private @Nullable Outcome outcome;
  private @Nullable IOException failure;
  private @Nullable Throwable defect;

  /** The end of this process must not come in the middle. */
  private static void awaitNone() {
    ASTRAY.acquireUninterruptibly();
    ASTRAY.release();
  }

  /**
   * @param result of the call, or a negated {@link Errno}
   * @param held how long the thread was held, at most
   * @param caught whether a filter has caught the call and it has no result
   */
  record Outcome(long result, Duration held, boolean caught) {}

  private CallInjection(
      int thread, CallRegisters machine, long instruction, long call, long[] alternatives) {
    this.thread = thread;
    this.machine = machine;
    this.instruction = instruction;
    this.call = call;
    this.alternatives = alternatives;
  }

  /**
   * Blocks until it is done; is not interrupted.
   *
   * @param thread of another process
   * @param instruction the address of a system call instruction in that process
   * @param call the number of the call
   * @param alternatives its only argument, and what to try next if the call says EPERM
   * @return null if the thread ended, or did not stop in time; then nothing happened
   * @throws LinuxException EPERM without the right to trace it
   */
  static @Nullable Outcome on(
      int thread, CallRegisters machine, long instruction, long call, long... alternatives)
      throws IOException {
    CallInjection injection = new CallInjection(thread, machine, instruction, call, alternatives);
    Thread tracer = Thread.ofPlatform().name("attach").daemon().start(injection);
    boolean interrupted = false;
    while (true) {
      try {
        tracer.join();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return injection.taken();
  }

  private @Nullable Outcome taken() throws IOException {
    if (failure != null) {
      throw failure;
    }
    if (defect != null) {
      throw new IllegalStateException("an attach failed by a defect", defect);
    }
    return outcome;
  }

  @Override
  public void run() {
    ASTRAY.acquireUninterruptibly();
    try {
      outcome = trace();
    } catch (LinuxException e) {
      if (e.errno() != Errno.ESRCH) {
        failure = e;
      }
    } catch (IOException e) {
      failure = e;
    } catch (RuntimeException | Error e) {
      defect = e;
    } finally {
      ASTRAY.release();
    }
  }

  private @Nullable Outcome trace() throws IOException {
    TracedThread traced = TracedThread.seize(thread);
    long begun = System.nanoTime();
    ran = begun;
    traced.interrupt();
    int alternative = 0;
    while (true) {
      ThreadStop stop = stopped(traced, begun + STOP.toNanos());
      if (stop == null) {
        return null;
      }
      int bytes = traced.readRegisters(own);
      if (bytes != machine.bytes()) {
        traced.detach(0);
        throw new AttachException(
            Problem.OTHER_MACHINE,
            "thread %d runs 32-bit code, and only 64-bit programs can be attached to"
                .formatted(thread));
      }
      while (true) {
        ThreadStop after = step(traced, bytes, alternatives[alternative]);
        if (after == null) {
          return null;
        }
        traced.readRegisters(work);
        boolean made = machine.programCounter(work) != instruction;
        if (!made && after.asked() && !frozen) {
          // All of the process is being stopped; that holds again once this one is let go.
          continue;
        }
        traced.writeRegisters(own.asSlice(0, bytes));
        if (!made && after.asked()) {
          traced.detach(0);
          return null;
        }
        if (!made) {
          // It has its signal now, as if nothing were, and stops behind that.
          traced.interrupt();
          traced.resume(after.signal());
          break;
        }
        long result = machine.result(work);
        if (result == -Errno.EPERM && after.stepped() && alternative + 1 < alternatives.length) {
          alternative++;
          continue;
        }
        Duration held = Duration.ofNanos(System.nanoTime() - ran);
        if (after.asked() || after.caughtByFilter()) {
          letGoBehindTrap(traced);
        } else {
          traced.detach(after.stepped() ? 0 : after.signal());
        }
        return new Outcome(result, held, after.caughtByFilter());
      }
    }
  }

  /** Waits until it stops because it was asked to; null if it ends or does not stop in time. */
  private @Nullable ThreadStop stopped(TracedThread traced, long deadline) throws LinuxException {
    while (true) {
      ThreadStop stop = await(traced, deadline);
      if (stop == null || stop.ended()) {
        return null;
      }
      if (stop.asked()) {
        return stop;
      }
      traced.interrupt();
      traced.resume(stop.signal());
    }
  }

  /**
   * The thread has made its call, but stands still for another reason than that: the trap of its
   * step may be waiting for it, and would end the process once nobody traces it. It comes before
   * any instruction of its own; where it does not, the thread is stopped once more to let it go.
   */
  private void letGoBehindTrap(TracedThread traced) throws LinuxException {
    ThreadStop stop;
    do {
      // Each stop of the process comes before the trap.
      traced.resume(0);
      stop = await(traced, System.nanoTime() + TRAP.toNanos());
    } while (stop != null && stop.asked());
    if (stop == null) {
      traced.interrupt();
      stop = stopped(traced, System.nanoTime() + STOP.toNanos());
    }
    if (stop != null && !stop.ended()) {
      traced.detach(stop.asked() || stop.stepped() ? 0 : stop.signal());
    }
  }

  /**
   * One instruction, the call; null if the thread has ended. A thread whose control group is frozen
   * does not take it: it is asked to stop then.
   */
  private @Nullable ThreadStop step(TracedThread traced, int bytes, long argument)
      throws LinuxException {
    work.copyFrom(own);
    machine.prepare(work, instruction, call, argument);
    traced.writeRegisters(work.asSlice(0, bytes));
    traced.step();
    long since = ran;
    ThreadStop stop = await(traced, System.nanoTime() + STOP.toNanos());
    frozen = stop == null;
    while (stop == null) {
      traced.interrupt();
      stop = await(traced, System.nanoTime() + STOP.toNanos());
    }
    // What it ran meanwhile was not its own.
    ran = since;
    return stop.ended() ? null : stop;
  }

  private @Nullable ThreadStop await(TracedThread traced, long deadline) throws LinuxException {
    for (int attempt = 0; ; attempt++) {
      long asked = System.nanoTime();
      ThreadStop stop = traced.poll();
      if (stop != null) {
        return stop;
      }
      ran = asked;
      if (asked - deadline > 0) {
        return null;
      }
      if (attempt < SPIN) {
        Thread.onSpinWait();
      } else {
        // There may be no other processor for it to run on.
        LockSupport.parkNanos(PAUSE_NANOS);
      }
    }
  }
}
