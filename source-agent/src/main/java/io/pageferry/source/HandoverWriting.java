package io.pageferry.source;

import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.process.ThreadEnd;
import java.io.IOException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * Gives the guest away: HANDED_OVER goes to the disk on a thread of its own while the target loads
 * the guest's state, and COMMIT follows when that is done and the target is ready. One after the
 * other, the two would add up in the guest's downtime.
 *
 * <p>Until COMMIT went the target cannot take the guest over, so {@link #close} then takes it back
 * without asking: RECLAIMED follows in the ledger. An agent that is killed in between leaves
 * HANDED_OVER, and its recovery asks.
 *
 * <p>Threading: the driver thread.
 */
final class HandoverWriting implements AutoCloseable {
  private static final Logger STORY = LogOutput.story("source");

  private final OwnershipLedger ledger;
  private final FutureTask<@Nullable Void> task;
  private final Thread thread;
  private boolean committed;

  /** Made before the guest is paused, so that beginning costs it nothing else. */
  HandoverWriting(OwnershipLedger ledger) {
    this.ledger = ledger;
    task =
        new FutureTask<>(
            () -> {
              ledger.record(LedgerState.HANDED_OVER);
              return null;
            });
    thread = Thread.ofPlatform().name("handover").daemon().unstarted(task);
  }

  /** The guest stands still, and all that the target waits for has been sent. */
  void begin() {
    thread.start();
  }

  /**
   * Returns when it is on disk.
   *
   * @throws LedgerException if it may not be
   */
  void await() throws IOException, InterruptedException {
    try {
      task.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException io) {
        throw io;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  /** COMMIT is about to go: from here on only the target's ledger says whose guest it is. */
  void committing() {
    committed = true;
  }

  /** Takes the guest back if the target was never told. */
  @Override
  public void close() {
    // Never given up in the middle: what is on disk then nobody would know.
    ThreadEnd.await(thread);
    if (!committed && ledger.current() == LedgerState.HANDED_OVER) {
      try {
        ledger.record(LedgerState.RECLAIMED);
      } catch (LedgerException e) {
        // It is asked then, as if COMMIT had gone.
        STORY.warn("That the guest stays here could not be written down: {}.", e.getMessage());
      }
    }
  }
}
