package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.units.TimeSpan;
import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.message.AbortReason;
import java.io.IOException;
import java.util.Objects;
import java.util.Optional;
import org.slf4j.Logger;

/**
 * What becomes of the guest when its migration fails, in the agent that began it. The ledger says
 * which of three things that is: before the hand-over the guest is put back ({@link Retreat}),
 * after it the target is asked whose the guest is ({@link Settlement}), and one that runs there
 * gets its pages ({@link Resumption}); one that has moved with all of its pages needs nothing. An
 * agent that ends meanwhile leaves the same to {@link Recovery}.
 *
 * <p>Threading: the driver thread.
 */
final class Rescue {
  private static final Logger STORY = LogOutput.story("source");

  private final MigrationSettings settings;
  private final TargetPlace target;
  private final SourceGuest guest;
  private final OwnershipLedger ledger;
  private final SentMemory memory;
  private final Oversight oversight;

  /** Whether the target has heard, as far as can be known, that the guest stays here. */
  private boolean told;

  Rescue(
      MigrationSettings settings,
      TargetPlace target,
      SourceGuest guest,
      OwnershipLedger ledger,
      SentMemory memory,
      Oversight oversight) {
    this.settings = settings;
    this.target = target;
    this.guest = guest;
    this.ledger = ledger;
    this.memory = memory;
    this.oversight = oversight;
  }

  /** Before the hand-over the target is told at once: it holds memory and a waiting guest. */
  void tell(TargetLink link, Exception failure) {
    LedgerState state = ledger.current();
    if (state != LedgerState.HANDED_OVER
        && state != LedgerState.SERVING
        && state != LedgerState.COMPLETED) {
      Verdict verdict = verdict(failure);
      told = link.abort(verdict.reason(), verdict.sentence());
    }
  }

  private Verdict verdict(Exception failure) {
    return Verdict.of(
        failure,
        Objects.requireNonNullElse(oversight.cancellation().wish(), "an interrupt"),
        guest.gone(),
        ledger.current() != LedgerState.PLANNED);
  }

  /**
   * Sees to the guest; returns normally if it turns out to have moved after all.
   *
   * @throws CommandFailure with the state the guest is in
   */
  void after(Exception failure) throws CommandFailure {
    oversight
        .cancellation()
        .ignoreFromNowOn(
            switch (ledger.current()) {
              case COMPLETED -> "the guest has moved";
              case HANDED_OVER -> "the target is being asked whether it took the guest over";
              case SERVING -> "the guest runs on the target";
              default -> "the guest is being put back here";
            });
    switch (ledger.current()) {
      case COMPLETED -> STORY.warn("The guest has moved; saying goodbye failed.", failure);
      case HANDED_OVER -> settleOwnership(failure);
      case SERVING -> serveOn(failure);
      default -> throw putBack(failure);
    }
  }

  private CommandFailure putBack(Exception failure) {
    boolean unheard =
        (ledger.current() == LedgerState.PAUSED || ledger.current() == LedgerState.RECLAIMED)
            && !told
            && !(failure instanceof PeerAbortedException);
    CommandFailure ended = Retreat.putBack(guest, ledger, verdict(failure), failure);
    if (unheard) {
      // It may be ready, and then keeps the guest's memory for as long as a word may come.
      try {
        settlement().withdraw(ledger.migration(), Settlement.WITHDRAWAL);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    return ended;
  }

  private Settlement settlement() {
    return new Settlement(target, MigrationFields.peerName(ledger.fields()));
  }

  private void settleOwnership(Exception failure) throws CommandFailure {
    STORY.warn(
        "The hand-over was not confirmed ({}); the guest stays paused until the target's ledger"
            + " says whose it is.",
        failure.getMessage());
    oversight.progress().phase("settling ownership");
    Optional<LedgerState> settled;
    try {
      // A target that gave up as its last word does not start the guest later.
      settled =
          settlement()
              .settle(ledger, settings.settleFor(), !(failure instanceof PeerAbortedException));
    } catch (InterruptedException | IOException e) {
      failure.addSuppressed(e);
      settled = Optional.empty();
    }
    if (settled.isEmpty()) {
      throw new CommandFailure(
          ExitCode.RECOVERABLE,
          "%s after the guest was handed over, and the target does not say whether it took it:"
                  .formatted(failure.getMessage())
              + " guest %s stays paused here; continue with '%s'"
                  .formatted(guest.name(), recover()),
          failure);
    }
    switch (settled.get()) {
      case RECLAIMED -> throw givenBack(failure);
      case SERVING -> serveOn(failure);
      case HANDED_OVER -> throw notStartedThere(failure);
      default -> STORY.info("The target's ledger says that it took the guest over.");
    }
  }

  private CommandFailure givenBack(Exception failure) {
    Verdict verdict =
        new Verdict(
            ExitCode.FAILED,
            AbortReason.INTERNAL,
            "%s; the target gave the guest back".formatted(failure.getMessage()));
    return Retreat.putBack(guest, ledger, verdict, failure);
  }

  /** The copy here may be the only one left, and is not ended by a program. */
  private CommandFailure notStartedThere(Exception failure) {
    String recover = recover();
    return new CommandFailure(
        ExitCode.RECOVERABLE,
        failure instanceof PeerAbortedException said && said.reason() == AbortReason.GUEST_ENDED
            ? failure.getMessage() + EndedThere.keptFor(recover)
            : "%s; guest %s belongs to the target, which took it over and has not started it: %s,"
                    .formatted(
                        failure.getMessage(),
                        guest.name(),
                        Settlement.howToStartThere(ledger.fields()))
                + " then '%s' here; the copy here was kept and stays paused, and '%s --force'"
                    .formatted(recover, recover)
                + " lets it run on if the guest's process there has ended",
        failure);
  }

  /** The guest runs on the target and needs pages from here; returns when it has them. */
  private void serveOn(Exception failure) throws CommandFailure {
    STORY.warn(
        "The connection was lost ({}); guest {} runs on the target until it needs a page that is"
            + " only here. Trying to reach the target again for {}.",
        failure.getMessage(),
        guest.name(),
        TimeSpan.format(settings.recoverFor()));
    try {
      new Resumption(
              target,
              MigrationFields.peerName(ledger.fields()),
              oversight.cancellation(),
              oversight.progress(),
              oversight.journal())
          .run(
              new Resumption.Remains(
                  ledger, guest.image(), memory.digest(), () -> memory.whole(guest.image())),
              new PostCopy.Manner(
                  settings.push(), new Pacer(settings.bandwidth()), settings.compress()),
              settings.recoverFor())
          .ifPresentOrElse(memory::settled, oversight.journal()::allThere);
    } catch (GuestEndedThereException e) {
      if (!e.knownToHaveRun()) {
        throw new CommandFailure(
            ExitCode.RECOVERABLE,
            EndedThere.unseen(guest.name(), "the target", e) + EndedThere.keptFor(recover()),
            e);
      }
      throw EndedThere.afterItRan(ledger, "the target", e);
    } catch (InterruptedException | IOException | RuntimeException e) {
      failure.addSuppressed(e);
      throw new CommandFailure(
          ExitCode.RECOVERABLE,
          "the target is lost (%s) and %s: guest %s is the target's and waits there as soon as it"
                  .formatted(
                      failure.getMessage(),
                      e instanceof InterruptedException
                          ? "the attempts to reach it again were called off"
                          : "could not be reached again",
                      guest.name())
              + " needs a page that is only here; keep the paused copy and continue with '%s'"
                  .formatted(recover()),
          failure);
    } finally {
      oversight.cancellation().ignoreFromNowOn("the migration is ending");
    }
  }

  /** The command that takes this migration up later. */
  private String recover() {
    return RecoverCommand.of(ledger.migration(), settings.stateDirectory());
  }
}
