package io.pageferry.source;

import io.pageferry.agent.process.ThreadEnd;
import io.pageferry.guest.attach.Attach;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.protocol.page.PageRehearsal;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.jspecify.annotations.Nullable;

/**
 * The guest's control warms up while the target prepares itself, and so does the attach to a guest
 * that will need one; both take a tenth of a second and more.
 *
 * <p>Threading: the guest's control belongs to a thread of this object from {@link #begin} until
 * {@link #await} or {@link #close} has returned. All are for the driver.
 */
final class ControlRehearsal implements AutoCloseable {
  private final FutureTask<@Nullable Void> task;
  private final Thread thread;

  private ControlRehearsal(SourceGuest guest) {
    task =
        new FutureTask<>(
            () -> {
              guest.control().warmUp();
              if (PageRehearsal.wanted() && guest.isAttachedTo()) {
                Attach.rehearse();
              }
              return null;
            });
    thread = Thread.ofPlatform().name("control-rehearsal").daemon().unstarted(task);
  }

  static ControlRehearsal begin(SourceGuest guest) {
    ControlRehearsal rehearsal = new ControlRehearsal(guest);
    rehearsal.thread.start();
    return rehearsal;
  }

  /**
   * Returns when the control is warm, and the driver's again.
   *
   * @throws GuestControlException if the guest does not answer
   */
  void await() throws GuestControlException, InterruptedException {
    try {
      task.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof GuestControlException refused) {
        throw refused;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  /** Gives up on it; an interrupted call closes the control's connection, and no more than that. */
  @Override
  public void close() {
    // Also when it is done already: then it has no effect.
    task.cancel(true);
    ThreadEnd.await(thread);
  }
}
