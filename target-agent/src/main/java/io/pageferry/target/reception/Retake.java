package io.pageferry.target.reception;

import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.handover.GuestRegion;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.target.MigrationAborted;
import io.pageferry.target.incoming.IncomingGuest;
import io.pageferry.target.incoming.IncomingMemory;
import io.pageferry.target.incoming.Leftovers;
import io.pageferry.target.incoming.TargetLedger;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A guest that runs here, or waits, with pages missing, and whose page faults nobody serves,
 * because its agent is gone or they failed: this agent takes them again, reads from the disk and
 * from the kernel what is missing, and waits for the source. Until then nobody but this guest is
 * held up.
 */
public final class Retake extends Arrival {
  private static final Logger LOG = LoggerFactory.getLogger(Retake.class);
  private static final Duration TRY_AGAIN = Duration.ofSeconds(2);
  private static final Duration LONGEST_PAUSE = Duration.ofMinutes(1);

  private final OwnershipLedger ledger;
  private final Duration pause;
  private final ReceptionLimits limits;
  private final ReceptionMeters meters;
  private final Logger story;

  // The driver's own.
  private @Nullable IncomingGuest guest;
  private @Nullable LandingPlace place;
  private @Nullable MissingMemory missing;
  private String failure = "";
  private boolean unserved;
  private @Nullable Retake successor;

  /**
   * @param ledger of a guest that was taken over before its pages were here; this closes it, or its
   *     successor does
   */
  public Retake(
      OwnershipLedger ledger, ReceptionLimits limits, ReceptionMeters meters, Logger story) {
    this(ledger, Duration.ZERO, limits, meters, story);
  }

  /**
   * @param pause before the guest is reached for: it was served a moment ago, and that failed
   */
  Retake(
      OwnershipLedger ledger,
      Duration pause,
      ReceptionLimits limits,
      ReceptionMeters meters,
      Logger story) {
    super(ledger.migration(), ledger.fields().guest(), ledger.fields().peer(), 0);
    this.ledger = ledger;
    this.pause = pause;
    this.limits = limits;
    this.meters = meters;
    this.story = story;
    settled.complete(OwnershipState.TAKEN_OVER);
  }

  @Override
  public void run() {
    meters.began(landed);
    String outcome = "left";
    try {
      outcome = takeUp();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException | Error e) {
      LOG.error("migration {} failed by a defect; the guest stays as it is", migration(), e);
    } finally {
      letGo();
      meters.ended(outcome, landed);
    }
  }

  private String takeUp() throws InterruptedException {
    progress.phase("taking up again");
    if (isStopped(pause)) {
      return "left";
    }
    while (true) {
      try {
        reach();
        break;
      } catch (MigrationAborted e) {
        if (e.reason() == AbortReason.GUEST_ENDED) {
          return buried(e.sentence());
        }
        sayOnce(e.sentence());
      } catch (IOException e) {
        sayOnce(String.valueOf(e.getMessage()));
      }
      if (isStopped(TRY_AGAIN)) {
        return "left";
      }
    }
    IncomingGuest held = require(guest);
    MissingMemory rest = require(missing);
    story.info(
        "guest '{}': taken up again with {} pages missing; '{}' has them and is waited for",
        guestName(),
        rest.missing(),
        ledger.fields().peer());
    allowResume();
    Map<String, String> fields = ledger.fields().more();
    Fetching fetching =
        new Fetching(
            migration(),
            held,
            rest,
            require(place),
            false,
            Integer.parseInt(fields.getOrDefault(TargetLedger.CHANNELS, "1")),
            Integer.parseInt(fields.getOrDefault(TargetLedger.ROUND, "1")),
            inbox,
            landed,
            limits,
            progress,
            meters,
            story);
    Fetching.Outcome outcome =
        fetching.run(null, ledger.fields().isSet(TargetLedger.STARTED), this::open);
    unserved = outcome == Fetching.Outcome.UNSERVED;
    return outcome == Fetching.Outcome.GUEST_ENDED ? buried(fetching.lastWords()) : outcome.word();
  }

  /** Holds everything of the guest afterwards, or nothing. */
  private void reach() throws MigrationAborted, IOException {
    IncomingGuest held = IncomingGuest.retake(ledger);
    IncomingMemory memory = held.memory();
    LandingPlace landing = null;
    MissingMemory rest = null;
    boolean reached = false;
    try {
      landing = new LandingPlace(layout(memory.regions()), memory.image().orElse(null));
      rest = new MissingMemory(held, landing.layout(), landing, new FaultLine(inbox, meters));
      rest.reopen();
      reached = true;
      progress.memory(memory.regions().stream().mapToLong(GuestRegion::bytes).sum());
      guest = held;
      place = landing;
      missing = rest;
    } finally {
      if (!reached) {
        if (landing != null) {
          landing.close();
        }
        held.letGo();
      }
    }
  }

  private static ImageLayout layout(List<GuestRegion> regions) {
    return new ImageLayout(
        regions.stream()
            .map(
                region ->
                    new ImageLayout.Region(region.name(), region.bytes() / PageBatch.PAGE_BYTES))
            .toList());
  }

  private void sayOnce(String sentence) {
    if (!sentence.equals(failure)) {
      failure = sentence;
      progress.phase("cannot be taken up yet");
      story.warn(
          "guest '{}' belongs to this host and its pages are missing, and it cannot be taken up"
              + " now: {}; tried again every {} s",
          guestName(),
          sentence,
          TRY_AGAIN.toSeconds());
    }
  }

  /** Waits a moment. */
  private boolean isStopped(Duration moment) throws InterruptedException {
    return inbox.take(moment) instanceof ReceptionEvent.StopAsked;
  }

  private String buried(String sentence) {
    if (missing != null) {
      missing.close();
    }
    story.warn("guest '{}' ended before all of its pages were here: {}", guestName(), sentence);
    Leftovers.bury(ledger, sentence);
    return Fetching.Outcome.GUEST_ENDED.word();
  }

  private void letGo() {
    refuseResume();
    closeLink();
    if (missing != null) {
      missing.close();
    }
    if (place != null) {
      place.close();
    }
    if (guest != null) {
      guest.letGo();
    }
    if (unserved) {
      Duration longer = pause.isZero() ? TRY_AGAIN : pause.multipliedBy(2);
      successor =
          new Retake(
              ledger,
              longer.compareTo(LONGEST_PAUSE) < 0 ? longer : LONGEST_PAUSE,
              limits,
              meters,
              story);
    } else {
      ledger.close();
    }
  }

  @Override
  public @Nullable Retake successor() {
    return successor;
  }

  private static <T> T require(@Nullable T held) {
    if (held == null) {
      throw new IllegalStateException("not reached yet");
    }
    return held;
  }
}
