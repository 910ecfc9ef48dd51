package io.pageferry.target.reception;

import io.pageferry.agent.cli.HoldPoint;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestStatus;
import io.pageferry.guest.fault.FaultStatistics;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.Resumed;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.page.Digest;
import io.pageferry.target.MigrationAborted;
import io.pageferry.target.incoming.IncomingGuest;
import io.pageferry.target.incoming.TargetLedger;
import java.time.Duration;
import java.util.Objects;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * From a guest that runs here while its pages are still on their way to one that needs the source
 * no more. Nothing that happens to the connection harms the guest: it runs on until it touches what
 * is missing, then waits, and the source may come back as often as it takes. Only the guest's own
 * end, this agent's, and that of the watch over its memory end it early.
 *
 * <p>Driver thread only.
 */
final class Fetching {
  /** How it ended. */
  enum Outcome {
    /** All is here, and the source knows. */
    COMPLETED("completed"),
    /** All is here; the source can still ask. */
    UNCONFIRMED("completed"),
    /** This agent is being stopped; the next one takes the guest up again. */
    LEFT("left"),
    /** The guest's page faults are not served any more: it has to be taken up again. */
    UNSERVED("unserved"),
    /** The guest's process ended before all was here. */
    GUEST_ENDED("guest-ended");

    private final String word;

    Outcome(String word) {
      this.word = word;
    }

    /** For the meters. */
    String word() {
      return word;
    }
  }

  private static final Logger LOG = LoggerFactory.getLogger(Fetching.class);
  private static final Duration GOODBYE = Duration.ofSeconds(10);
  private static final Duration START_AGAIN = Duration.ofSeconds(5);

  private final UUID migration;
  private final IncomingGuest guest;
  private final MissingMemory missing;
  private final LandingPlace place;
  private final boolean digestWhole;
  private final int dataChannels;
  private final ReceptionInbox inbox;
  private final LandedPages landed;
  private final ReceptionLimits limits;
  private final ReceptionProgress progress;
  private final ReceptionMeters meters;
  private final Logger story;
  private final String name;
  private final GuestPace pace;

  /** What the present connection has brought; gone with it. */
  private @Nullable SourceLink link;

  private ReceptionEvent.@Nullable RoundDelivered delivered;
  private @Nullable DigestValue digest;
  private boolean landedSaid;
  private boolean settledSaid;

  /** When the present connection had to be complete, was complete, or was settled. */
  private long linkSince = System.nanoTime();

  private int round;
  private boolean started;
  private long nextStart = System.nanoTime();
  private boolean allHere;
  private String lastWords = "";
  private long unlinkedSince = System.nanoTime();

  /**
   * @param digestWhole whether the running digest has seen every page that landed; not after this
   *     agent was started anew
   * @param dataChannels how many channels a source that comes back may open
   * @param round the last post-copy round
   */
  Fetching(
      UUID migration,
      IncomingGuest guest,
      MissingMemory missing,
      LandingPlace place,
      boolean digestWhole,
      int dataChannels,
      int round,
      ReceptionInbox inbox,
      LandedPages landed,
      ReceptionLimits limits,
      ReceptionProgress progress,
      ReceptionMeters meters,
      Logger story) {
    this.migration = migration;
    this.guest = guest;
    this.missing = missing;
    this.place = place;
    this.digestWhole = digestWhole;
    this.dataChannels = dataChannels;
    this.round = round;
    this.inbox = inbox;
    this.landed = landed;
    this.limits = limits;
    this.progress = progress;
    this.meters = meters;
    this.story = story;
    this.name = guest.description().name();
    this.pace = new GuestPace(guest.process());
  }

  /** The present connection; null when there is none. For those who join it. */
  interface Door {
    void open(@Nullable SourceLink link);
  }

  /**
   * Goes on until it has ended in one way or another.
   *
   * @param first the connection that the guest came by, all of its channels joined; null when it is
   *     lost
   * @param running whether the guest was started
   * @param door told of each connection
   */
  Outcome run(@Nullable SourceLink first, boolean running, Door door) throws InterruptedException {
    link = first;
    started = running;
    if (first == null) {
      progress.phase("paused, source lost");
    } else {
      progress.phase("fetching");
    }
    if (first != null) {
      // Without a source the guest may be waiting for a page, and its answer with it.
      pace.begin();
    }
    guest.process().hangUp();
    HoldPoint.reached("fetching");
    try {
      while (true) {
        start();
        arrive();
        Outcome outcome = stepOverDefects(door);
        if (outcome != null) {
          return outcome;
        }
      }
    } finally {
      missing.askNobody();
    }
  }

  /** What goes wrong with a connection costs that connection, never the guest its fault service. */
  private @Nullable Outcome stepOverDefects(Door door) throws InterruptedException {
    try {
      return step(door);
    } catch (RuntimeException e) {
      if (link == null) {
        throw e;
      }
      LOG.error("migration {}: a defect ends the connection to its source", migration, e);
      return lose("a defect on the target: " + e, door);
    }
  }

  private @Nullable Outcome step(Door door) throws InterruptedException {
    SourceLink present = link;
    ReceptionEvent event;
    if (present == null) {
      event = inbox.take(SourceLine.LOOK);
      if (event == null && allHere && started && since(unlinkedSince, limits.abandonAfter())) {
        story.warn("migration {}: the source did not come back to compare; it can ask", migration);
        return Outcome.UNCONFIRMED;
      }
    } else {
      try {
        event = present.line().take(settle(present));
      } catch (MigrationAborted e) {
        return lose(e.sentence(), door);
      }
    }
    return switch (event) {
      case null -> present == null ? null : look(present, door);
      case ReceptionEvent.FromSource(Message message, long nanos) -> take(message, door);
      case ReceptionEvent.RoundDelivered event1 -> {
        delivered = event1;
        yield null;
      }
      case ReceptionEvent.ChannelsComplete complete -> {
        askAgain();
        yield null;
      }
      case ReceptionEvent.ControlLost lost -> lose(String.valueOf(lost.cause().getMessage()), door);
      case ReceptionEvent.DataLost lost -> lose(lost.cause().sentence(), door);
      case ReceptionEvent.DataFailed failed -> lose(failed.cause().sentence(), door);
      case ReceptionEvent.ResumeAsked asked -> {
        resume(asked, door);
        yield null;
      }
      case ReceptionEvent.GuestEnded ended -> allHere && started ? null : ended(ended.sentence());
      case ReceptionEvent.FaultsFailed failed -> {
        story.error(
            "guest '{}': its page faults cannot be served any more ({}): it waits at the next"
                + " missing page until it is taken up again",
            name,
            failed.cause().getMessage());
        yield leave(door, Outcome.UNSERVED);
      }
      case ReceptionEvent.StopAsked asked -> {
        if (!allHere) {
          story.warn(
              "guest '{}' runs here and {} of its pages are missing: it waits at the next one until"
                  + " 'pageferry target serve' is started again",
              name,
              missing.missing());
        }
        yield leave(door, Outcome.LEFT);
      }
      case ReceptionEvent.CancelAsked asked -> {
        story.warn("guest '{}' runs here already: there is nothing to cancel", name);
        yield null;
      }
      case ReceptionEvent.ReclaimAsked asked -> null;
    };
  }

  // ---- The guest ----

  /** A guest that could not be started is tried again: it is this host's and nobody else's. */
  private void start() {
    if (started || System.nanoTime() - nextStart < 0) {
      return;
    }
    try {
      letRun(guest.process().reach(guest.description().control().timeout()));
      guest.ledger().update(guest.ledger().fields().with(TargetLedger.STARTED, "true"));
      started = true;
      story.info("guest '{}' runs here", name);
    } catch (GuestControlException | LedgerException e) {
      nextStart = System.nanoTime() + START_AGAIN.toNanos();
      story.warn("guest '{}' belongs to this host and does not run yet: {}", name, e.getMessage());
    } finally {
      guest.process().hangUp();
    }
  }

  /** One that was started before this could be written down is not told again, whatever it did. */
  private static void letRun(GuestControl control) throws GuestControlException {
    GuestStatus status = control.status();
    if (status.awaitsDeviceState()) {
      throw new GuestControlException(
          "the process that answers is not it: it waits for a migration");
    }
    if (!status.running() && !status.hasMovedOn() && !status.isOver()) {
      new Activation(control).start();
    }
  }

  /** Once nothing is missing, the guest's memory is its own again. */
  private void arrive() {
    if (allHere || missing.missing() > 0) {
      progress.missing(allHere ? 0 : missing.missing());
      return;
    }
    missing.finish();
    allHere = true;
    unlinkedSince = System.nanoTime();
    if (link == null) {
      // With a source the word that all is here comes first.
      pace.arrive();
    }
    progress.missing(0);
    progress.phase("all pages here");
    try {
      guest.ledger().update(guest.ledger().fields().with(TargetLedger.FETCHED, "true"));
      // Not before: an agent that finds the guest unfinished cannot take it up without the list.
      guest.faults().removeMissingPages();
    } catch (LedgerException e) {
      LOG.warn("migration {}: {}", migration, e.getMessage());
    } finally {
      missing.close();
    }
    FaultStatistics faults = missing.statistics();
    story.info(
        "guest '{}': all of its pages are here; it waited for {} of them, {} µs in the median, {}"
            + " at most",
        name,
        faults.faults(),
        faults.p50Nanos() / 1_000,
        faults.maxNanos() / 1_000);
  }

  /** How the guest ended, if it did. */
  String lastWords() {
    return lastWords;
  }

  private Outcome ended(String sentence) {
    lastWords = sentence;
    story.warn(
        started
            ? "guest '{}' ended before all of its pages were here ({} missing): {}"
            : "guest '{}' ended and is not known to have run here ({} pages missing): {}",
        name,
        missing.missing(),
        sentence);
    return Outcome.GUEST_ENDED;
  }

  private Outcome leave(Door door, Outcome unfinished) {
    // The source keeps its connection for as long as it takes to close it: it knows what to do.
    door.open(null);
    return allHere ? Outcome.UNCONFIRMED : unfinished;
  }

  // ---- The source ----

  private @Nullable Outcome take(Message message, Door door) {
    if (message instanceof DigestValue value) {
      digest = value;
      return null;
    }
    return message instanceof Goodbye
        ? goodbye()
        : lose(SourceLine.unexpected(message).sentence(), door);
  }

  private Outcome goodbye() {
    if (!started) {
      // Its ledger stays open: a completed one would tell the sweep that there is nothing to start.
      story.error(
          "guest '{}' belongs to this host, all of its pages are here, and it does not run: run"
              + " 'pageferry target sweep'",
          name);
      return Outcome.UNCONFIRMED;
    }
    try {
      guest.ledger().record(LedgerState.COMPLETED);
    } catch (LedgerException e) {
      LOG.warn("migration {}: {}", migration, e.getMessage());
      return Outcome.UNCONFIRMED;
    }
    story.info(
        "migration {} is complete: {} pages landed, {} of them zero",
        migration,
        landed.pages(),
        landed.zeroPages());
    return Outcome.COMPLETED;
  }

  /**
   * Says what is due: that all has landed, and what the comparison comes to.
   *
   * @return how soon to look again
   */
  private Duration settle(SourceLink present) throws MigrationAborted {
    ReceptionEvent.RoundDelivered brought = delivered;
    if (brought != null && !landedSaid) {
      if (!allHere) {
        throw new MigrationAborted(
            AbortReason.PROTOCOL_VIOLATION,
            "the source has sent all that it wants to send, and "
                + missing.missing()
                + " pages are missing");
      }
      landedSaid = true;
      present.openedChannels().settle();
      meters.count(landed);
      present.line().send(new RoundLanded(brought.round(), brought.pages()));
      pace.arrive();
    }
    DigestValue theirs = digest;
    if (!landedSaid || theirs == null || settledSaid) {
      return SourceLine.LOOK;
    }
    if (!started) {
      // Its source would end the copy there, which may be what there is of this guest in the end.
      return SourceLine.LOOK;
    }
    Duration watching = pace.watch();
    if (watching.isPositive()) {
      return watching;
    }
    settledSaid = true;
    linkSince = System.nanoTime();
    present.line().send(settled(new Digest(theirs.high(), theirs.low())));
    return SourceLine.LOOK;
  }

  private Settled settled(Digest theirs) {
    Digest ours = place.digest();
    FaultStatistics faults = missing.statistics();
    Comparison comparison = Comparison.EQUAL;
    if (!digestWhole) {
      comparison = Comparison.UNKNOWN;
    } else if (!ours.equals(theirs)) {
      // What the guest gave back has not landed, and the source cannot know.
      comparison = faults.removedPages() > 0 ? Comparison.UNKNOWN : Comparison.DIFFERENT;
    }
    if (comparison == Comparison.DIFFERENT) {
      story.error(
          "guest '{}': what landed here is not what the source has: digest {}, expected {}; the"
              + " guest runs on, but do not trust it",
          name,
          ours,
          theirs);
    }
    return new Settled(
        ours.high(),
        ours.low(),
        comparison,
        faults.faults(),
        faults.localFaults(),
        faults.avoided(),
        faults.duplicates(),
        faults.removedPages(),
        faults.p50Nanos(),
        faults.p99Nanos(),
        faults.maxNanos(),
        pace.duringMilliOps(),
        pace.afterMilliOps());
  }

  /** Nothing happened for a moment. */
  private @Nullable Outcome look(SourceLink present, Door door) {
    if (settledSaid) {
      return since(linkSince, GOODBYE) ? lose("it did not say goodbye", door) : null;
    }
    if (!present.openedChannels().complete()) {
      return since(linkSince, limits.joinLimit())
          ? lose("not all channels joined within " + limits.joinLimit().toMillis() + " ms", door)
          : null;
    }
    // A source that comes back gets the whole time again.
    long waits = allHere ? 0 : Math.min(missing.longestWait(), System.nanoTime() - linkSince);
    if (waits > limits.answerLimit().toNanos()) {
      return lose(
          "it lives and has not answered a page request for "
              + limits.answerLimit().toMillis()
              + " ms",
          door);
    }
    return null;
  }

  /** The connection is given up; the guest and what landed stay. */
  private @Nullable Outcome lose(String why, Door door) {
    missing.askNobody();
    SourceLink lost = link;
    link = null;
    door.open(null);
    if (lost != null) {
      lost.letGo();
    }
    meters.count(landed);
    if (settledSaid) {
      story.warn("migration {}: the source did not confirm ({}); it can ask", migration, why);
      return Outcome.UNCONFIRMED;
    }
    meters.linkLost();
    forget();
    unlinkedSince = System.nanoTime();
    progress.phase("paused, source lost");
    story.warn(
        "guest '{}' runs on and {} of its pages are missing: the source is lost ({}); it goes on"
            + " when the source is back, at the latest by 'pageferry source recover {}' there",
        name,
        allHere ? 0 : missing.missing(),
        why,
        migration);
    return null;
  }

  private void forget() {
    delivered = null;
    digest = null;
    landedSaid = false;
    settledSaid = false;
    linkSince = System.nanoTime();
  }

  private void resume(ReceptionEvent.ResumeAsked asked, Door door) throws InterruptedException {
    SourceLink former = link;
    if (former != null) {
      story.info("guest '{}': the source comes by a new connection, the old one is closed", name);
      missing.askNobody();
      former.letGo();
    }
    forget();
    round++;
    SourceLink next =
        new SourceLink(asked.control(), asked.conversation(), asked.capabilities(), inbox);
    link = next;
    try {
      guest
          .ledger()
          .update(guest.ledger().fields().with(TargetLedger.ROUND, Integer.toString(round)));
    } catch (LedgerException e) {
      LOG.warn("migration {}: {}", migration, e.getMessage());
    }
    PageChannels channels = next.openChannels(dataChannels, true, place, limits, landed);
    door.open(next);
    HoldPoint.reached("resuming");
    next.line().open();
    next.line()
        .send(
            new Resumed(
                migration,
                round,
                channels.tokens(),
                Objects.requireNonNull(channels.faultToken())));
    missing.name(next.line());
    progress.phase("fetching");
    story.info(
        "guest '{}': {} is back, {} pages are still to come",
        name,
        asked.control().peer().name(),
        allHere ? 0 : missing.missing());
  }

  private void askAgain() {
    linkSince = System.nanoTime();
    SourceLink present = link;
    RequestChannel asked = present == null ? null : present.openedChannels().requests();
    if (asked != null && !allHere) {
      missing.ask(asked);
    }
  }

  private static boolean since(long began, Duration limit) {
    return System.nanoTime() - began > limit.toNanos();
  }
}
