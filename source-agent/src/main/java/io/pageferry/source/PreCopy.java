package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.guest.dirty.DirtyTracker;
import io.pageferry.protocol.page.PageTally;
import io.pageferry.source.Convergence.Decision;
import io.pageferry.source.Convergence.Verdict;
import io.pageferry.source.MigrationSettings.OnStall;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * The rounds while the guest runs: all pages once, then those dirtied meanwhile, until what is left
 * is worth standing still for.
 *
 * <p>Read after clear: the tracker clears a page's mark before it reports the page, and the page is
 * read only later. A write that races with the read sets the mark again, so the page is sent once
 * more; the other order would lose that write.
 *
 * <p>Threading: the driver thread.
 */
final class PreCopy {
  private static final Logger STORY = LogOutput.story("source");

  private final SourceGuest guest;
  private final DirtyTracker tracker;
  private final RoundSender rounds;
  private final RoundRule rule;
  private final OnStall onStall;
  private final boolean holdBack;
  private final SwitchWish wish;
  private final MigrationJournal journal;
  private final MigrationProgress progress;

  /**
   * @param holdBack whether pages that the guest keeps writing wait for a later round or the end
   */
  PreCopy(
      SourceGuest guest,
      DirtyTracker tracker,
      RoundSender rounds,
      RoundRule rule,
      OnStall onStall,
      boolean holdBack,
      SwitchWish wish,
      MigrationJournal journal,
      MigrationProgress progress) {
    this.guest = guest;
    this.tracker = tracker;
    this.rounds = rounds;
    this.rule = rule;
    this.onStall = onStall;
    this.holdBack = holdBack;
    this.wish = wish;
    this.journal = journal;
    this.progress = progress;
  }

  /**
   * How it ended.
   *
   * @param rounds how many were sent
   * @param switchedBy what made the guest move before its pages; null if what is left is to be sent
   *     while it stands still
   */
  record Result(int rounds, @Nullable SwitchedBy switchedBy) {}

  /**
   * Sends rounds until the guest may be paused.
   *
   * @param fixedCostNanos what the switchover will cost besides pages
   * @param dirty receives the pages that are left; their marks are cleared already
   * @throws StalledException if the guest dirties faster than the link carries and is not to be
   *     paused for it
   */
  Result run(long fixedCostNanos, DirtyPages dirty)
      throws IOException, InterruptedException, CommandFailure {
    SendOrder order = new SendOrder(guest.regionPages(), dirty);
    boolean mayWait = holdBack && tracker.tellsRewrites();
    RoundWork work = rounds.everything(guest.image());
    for (int round = 1; ; round++) {
      RoundSender.Sent sent = rounds.send(round, work, false, wish::wished, dirty::mark);
      tracker.collect(order::written);
      long dirtied = dirty.count() - order.calm();
      journal.round(sent, dirtied, order.waited());
      progress.roundEnded(dirtied, sent.nanos());
      Decision decision =
          rule.after(
              new Convergence.Round(
                  sent.linkPages(),
                  sent.tally().wireBytes(),
                  sent.linkNanos(),
                  dirty.count(),
                  order.waited(),
                  order.calm(),
                  sent.linkPages() - sent.tally().partlyKnown(),
                  sent.tally().wireBytes() - sent.tally().partsBytes()),
              fixedCostNanos);
      STORY.info(
          "Round {}: {} pages{}{}, {} MB on the wire in {} ms{}; {} pages dirtied meanwhile.",
          round,
          sent.pages(),
          fromEarlier(sent.tally()) == 0
              ? ""
              : ", %d of them there from an earlier time".formatted(fromEarlier(sent.tally())),
          sent.tally().deduplicated() == 0
              ? ""
              : ", the content of %d found there".formatted(sent.tally().deduplicated()),
          "%.1f".formatted(sent.tally().wireBytes() / 1e6),
          "%.1f".formatted(sent.nanos() / 1e6),
          order.waited() == 0 ? "" : ", %d held back".formatted(order.waited()),
          dirtied);
      boolean last = decision.verdict() != Verdict.NEXT_ROUND;
      if (last ? wish.close() : wish.wished()) {
        journal.stopReason("the user asked for post-copy");
        STORY.info("Switching to post-copy, as asked for; {} pages will follow.", dirty.count());
        return new Result(round, SwitchedBy.COMMAND);
      }
      if (last) {
        return new Result(round, settle(decision));
      }
      work = rounds.of(order.next(mayWait ? rule.mayWait(fixedCostNanos) : 0));
    }
  }

  /** Whole or in part. */
  private static long fromEarlier(PageTally tally) {
    return tally.known() + tally.partlyKnown();
  }

  private @Nullable SwitchedBy settle(Decision decision) throws StalledException {
    String expected = "%.0f ms".formatted(decision.expectedDowntimeNanos() / 1e6);
    journal.stopReason(decision.reason());
    if (decision.verdict() == Verdict.OVER_LIMIT && onStall == OnStall.CANCEL) {
      throw new StalledException(
          "the guest cannot be moved within the downtime limit (%s): raise --downtime-limit"
              .formatted(decision.reason()));
    }
    if (decision.verdict() == Verdict.OVER_LIMIT) {
      STORY.warn(
          "The guest will stand still for longer than --downtime-limit, for {}: {}.",
          expected,
          decision.reason());
      return null;
    }
    if (decision.verdict() == Verdict.STALLED && onStall == OnStall.POSTCOPY) {
      STORY.info(
          "The guest dirties faster than the link carries ({}): switching to post-copy.",
          decision.reason());
      return SwitchedBy.STALL;
    }
    if (decision.verdict() == Verdict.STALLED && onStall == OnStall.CANCEL) {
      throw new StalledException(
          "the guest dirties its memory faster than the link carries it (%s; pausing it now would"
                  .formatted(decision.reason())
              + " take "
              + expected
              + ")");
    }
    STORY.info("Switching over: {}; expected to stand still for {}.", decision.reason(), expected);
    return null;
  }
}
