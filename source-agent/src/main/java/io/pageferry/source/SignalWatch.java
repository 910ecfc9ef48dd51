package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * While this is open a signal (Ctrl-C, TERM) does not end the process but asks the driver to put
 * the guest back, or waits for as long as the guest needs this process. The exit code is then the
 * migration's, not the signal's.
 *
 * <p>Threading: the driver's, but for the virtual machine's own hook.
 */
final class SignalWatch implements AutoCloseable {
  private static final Logger STORY = LogOutput.story("source");

  /** How long a signal waits for the guest to be put back before the process ends anyway. */
  private static final Duration PUT_BACK = Duration.ofSeconds(30);

  private final Cancellation cancellation;
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread hook = Thread.ofPlatform().unstarted(this::cancelAndWait);
  private volatile ExitCode exit = ExitCode.FAILED;

  /** The driver's own. */
  private @Nullable CommandFailure failure;

  private SignalWatch(Cancellation cancellation) {
    this.cancellation = cancellation;
  }

  static SignalWatch over(Cancellation cancellation) {
    SignalWatch watch = new SignalWatch(cancellation);
    Runtime.getRuntime().addShutdownHook(watch.hook);
    return watch;
  }

  /** The driver has done what it was to do. */
  void done() {
    exit = ExitCode.DONE;
  }

  /** The driver has failed. */
  CommandFailure failed(CommandFailure how) {
    exit = how.exit();
    failure = how;
    return how;
  }

  /** The virtual machine waits for this, so the driver gets to put the guest back. */
  private void cancelAndWait() {
    boolean asked = cancellation.request("a signal");
    if (!asked) {
      STORY.warn("T{}.", cancellation.refusal().substring(1));
    }
    try {
      boolean ended;
      do {
        ended = closed.await(PUT_BACK.toMillis(), TimeUnit.MILLISECONDS);
      } while (!ended && cancellation.serving());
      // The link was lost meanwhile: the attempts to restore it end, and it is said how to go on.
      if (!ended && !asked && cancellation.request("a signal")) {
        ended = closed.await(PUT_BACK.toMillis(), TimeUnit.MILLISECONDS);
      }
      if (ended) {
        Runtime.getRuntime().halt(exit.code());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Signals end the process again; does not return if one is being heeded. */
  @Override
  public void close() {
    if (!removeHook()) {
      // The hook ends the process as soon as it is told, before anybody else could say this.
      CommandFailure how = failure;
      if (how != null) {
        System.err.println("pageferry: " + how.sentence());
      }
      closed.countDown();
      while (true) {
        LockSupport.park();
      }
    }
  }

  /** Returns false if the hook runs already, and waits for us. */
  private boolean removeHook() {
    try {
      return Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      return false;
    }
  }
}
