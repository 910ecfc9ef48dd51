package io.pageferry.target.reception;

import io.netty.buffer.ByteBufAllocator;
import io.pageferry.agent.cli.HoldPoint;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.Started;
import io.pageferry.protocol.message.Switch;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.target.MigrationAborted;
import io.pageferry.target.incoming.GuestLaunch;
import io.pageferry.target.incoming.IncomingGuest;
import io.pageferry.target.incoming.TargetLedger;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * From the last page to a guest that runs here, step by step: {@link #prepare}, {@link
 * #awaitCommit}, {@link #takeOver}, which is on disk before it is acted on, {@link #awaitGoodbye}.
 * The guest stands still meanwhile. Driver thread only.
 */
final class Handover {
  private static final Logger LOG = LoggerFactory.getLogger(Handover.class);

  /** How long a stopping agent waits for a COMMIT that may be on its way. */
  private static final Duration COMMIT_IN_FLIGHT = Duration.ofSeconds(2);

  /** How long a guest that lost its control over an order may take to end. */
  private static final Duration ENDING = Duration.ofMillis(500);

  /** How long a process may take to end that cannot be told anything any more. */
  private static final Duration VANISHING = Duration.ofSeconds(5);

  private static final Duration GOODBYE = Duration.ofSeconds(10);

  private final Offer offer;
  private final IncomingGuest guest;
  private final SourceLine line;
  private final ReceptionLimits limits;
  private final ReceptionProgress progress;
  private final Logger story;
  private final Activation activation;
  private long committedAt;
  private boolean committed;
  private boolean pagesCutOff;
  private boolean beforeItsPages;

  Handover(
      Offer offer,
      IncomingGuest guest,
      SourceLine line,
      ReceptionLimits limits,
      ReceptionProgress progress,
      Logger story) {
    this.offer = offer;
    this.guest = guest;
    this.line = line;
    this.limits = limits;
    this.progress = progress;
    this.story = story;
    this.activation = new Activation(guest.process().control());
  }

  /**
   * Has the guest do before its downtime what it can. Not one that was there before: it is to wait
   * for another attempt if this one comes to nothing, and listens only once.
   */
  void expect() throws MigrationAborted {
    Optional<GuestLaunch> launch = guest.process().launched();
    if (launch.isEmpty() || guest.faults().comeAtLoad()) {
      return;
    }
    try {
      activation.expect();
    } catch (MigrationAborted e) {
      // Its socket closes before its process is gone.
      if (launch.get().endsWithin(ENDING)) {
        throw new MigrationAborted(
            AbortReason.GUEST_ENDED,
            "the guest launched on the target ended" + launch.get().lastWords(),
            e);
      }
      throw e;
    }
  }

  /**
   * Compares the digest, loads the device state, which changes the memory, and says that it is
   * ready.
   *
   * @param running this side's running digest
   */
  void prepare(DigestValue theirs, Digest running, byte[] deviceState, ImageLayout layout)
      throws MigrationAborted, InterruptedException {
    progress.phase("preparing");
    Digest ours = compare(theirs, running, layout);
    load(deviceState);
    prepared(null, ours);
    story.info(
        "guest '{}': {}digest matches, {} KiB of device state loaded in {} ms; prepared",
        offer.guest(),
        theirs.full() ? "image reread, " : "",
        deviceState.length / 1024,
        activation.loadMicros() / 1000.0);
  }

  /**
   * Serves the page faults of a guest whose pages are still to come, then loads the device state,
   * which may touch some of them, and says that it is ready.
   *
   * @param round the round in which the missing pages come
   * @param dataChannels how many channels they come by, also after they were lost
   */
  void prepareToFetch(
      Switch round,
      int dataChannels,
      MissingMemory missing,
      PageChannels channels,
      byte[] deviceState)
      throws MigrationAborted, InterruptedException {
    progress.phase("switching");
    beforeItsPages = true;
    RequestChannel asked = channels.requests();
    if (asked == null || !channels.complete()) {
      throw new MigrationAborted(
          AbortReason.PROTOCOL_VIOLATION, "the guest was switched before all channels had joined");
    }
    if (guest.faults().comeAtLoad()) {
      loadWhileServing(deviceState, () -> serve(round.missingPages(), missing, channels, asked));
    } else {
      serve(round.missingPages(), missing, channels, asked);
      load(deviceState);
    }
    prepared(
        guest
            .ledger()
            .fields()
            .with(TargetLedger.POSTCOPY, "true")
            .with(TargetLedger.ROUND, Integer.toString(round.round()))
            .with(TargetLedger.CHANNELS, Integer.toString(dataChannels)),
        new Digest(0, 0));
    story.info(
        "guest '{}': {} pages are to come after it, {} KiB of device state loaded in {} ms;"
            + " prepared",
        offer.guest(),
        round.missingPages(),
        deviceState.length / 1024,
        activation.loadMicros() / 1000.0);
  }

  /** A guest that ends over its state has more to say of that than its control. */
  private void load(byte[] deviceState) throws MigrationAborted {
    try {
      activation.load(deviceState);
    } catch (MigrationAborted refused) {
      String lastWords =
          guest.process().launched().filter(launch -> launch.endsWithin(ENDING)).isPresent()
              ? "; its process ended" + guest.process().launched().get().lastWords()
              : "";
      throw new MigrationAborted(refused.reason(), refused.sentence() + lastWords, refused);
    }
  }

  /** Pages are asked for only when they have where to land. */
  private static void serve(
      long expected, MissingMemory missing, PageChannels channels, RequestChannel asked)
      throws MigrationAborted {
    missing.serve(expected);
    channels.moveIn();
    missing.ask(asked);
  }

  private interface Serving {
    void begin() throws MigrationAborted;
  }

  /** For a guest that hands its memory over while it loads, and then touches it. */
  private void loadWhileServing(byte[] deviceState, Serving serving)
      throws MigrationAborted, InterruptedException {
    FutureTask<@Nullable Void> load =
        new FutureTask<>(
            () -> {
              load(deviceState);
              return null;
            });
    Thread loading =
        Thread.ofPlatform()
            .name("device-state")
            .daemon()
            .start(
                () -> {
                  load.run();
                  if (load.state() == Future.State.FAILED) {
                    guest.faults().expectNone();
                  }
                });
    try {
      serving.begin();
    } catch (MigrationAborted | RuntimeException e) {
      boolean refused = load.state() == Future.State.FAILED;
      // The guest may wait for a page for ever, and the load with it.
      guest.process().hangUp();
      loading.join();
      if (refused) {
        requireLoaded(load);
      }
      throw e;
    }
    loading.join();
    requireLoaded(load);
  }

  private static void requireLoaded(FutureTask<@Nullable Void> load)
      throws MigrationAborted, InterruptedException {
    try {
      load.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof MigrationAborted refused) {
        throw refused;
      }
      throw new IllegalStateException("loading the device state", e.getCause());
    }
  }

  private void prepared(@Nullable LedgerFields fields, Digest ours)
      throws MigrationAborted, InterruptedException {
    progress.phase("prepared");
    HoldPoint.reached("prepared");
    line.send(new Prepared(true, ours.high(), ours.low()));
    // Goes to the disk while the source's HANDED_OVER does. Nobody relies on it: a guest that was
    // never taken over is the source's whether or not it was ready.
    record(LedgerState.PREPARED, fields);
  }

  private Digest compare(DigestValue theirs, Digest running, ImageLayout layout)
      throws MigrationAborted {
    if (offer.verifyFull() && !theirs.full()) {
      throw new MigrationAborted(
          AbortReason.PROTOCOL_VIOLATION, "a full digest was offered, and a running one came");
    }
    Digest ours = running;
    if (theirs.full()) {
      try {
        ours =
            FullDigest.of(guest.memory().image().orElseThrow(), layout, ByteBufAllocator.DEFAULT);
      } catch (IOException e) {
        throw new MigrationAborted(
            AbortReason.IO_ERROR, "the target cannot reread its image: " + e.getMessage(), e);
      }
    }
    Digest expected = new Digest(theirs.high(), theirs.low());
    if (!ours.equals(expected)) {
      throw new MigrationAborted(
          AbortReason.DIGEST_MISMATCH,
          "what landed on the target is not what the source has: digest "
              + ours
              + (theirs.full() ? " reread, " + running + " as landed" : "")
              + ", expected "
              + expected);
    }
    return ours;
  }

  /**
   * Waits for the source's word. A lost source may come back on another connection and ask; until
   * then nothing is decided, up to a limit.
   */
  void awaitCommit() throws MigrationAborted, InterruptedException {
    long deadline = System.nanoTime() + limits.idleLimit().toNanos();
    MigrationAborted stopped = null;
    while (!committed) {
      try {
        ReceptionEvent event =
            line.nextWord(Duration.ofNanos(Math.max(0, deadline - System.nanoTime())));
        if (event == null) {
          throw stopped != null
              ? stopped
              : new MigrationAborted(
                  AbortReason.PEER_SILENT,
                  "the source did not commit, and the time to wait for it is over");
        }
        // No pattern switch: the first run of one costs milliseconds, and the guest stands still.
        if (event instanceof ReceptionEvent.FromSource from) {
          requireCommit(from.message());
          committed = true;
          committedAt = from.nanos();
        } else if (event instanceof ReceptionEvent.DataLost) {
          pagesCutOff = true;
        }
      } catch (SourceLost e) {
        if (e.byItsOwnWord() || e.byViolation()) {
          throw new MigrationAborted(e.reason(), String.valueOf(e.getMessage()), e);
        }
        story.warn(
            "guest '{}' is prepared and the source is lost ({}): waiting {} s for it to ask",
            offer.guest(),
            e.getMessage(),
            limits.abandonAfter().toSeconds());
        progress.phase("prepared, source lost");
        deadline = System.nanoTime() + limits.abandonAfter().toNanos();
      } catch (MigrationAborted e) {
        if (e.reason() != AbortReason.SHUTTING_DOWN || e == stopped) {
          throw e;
        }
        // The source may have committed a moment ago: then this guest is ours to start.
        stopped = e;
        deadline = Math.min(deadline, System.nanoTime() + COMMIT_IN_FLIGHT.toNanos());
      }
    }
  }

  private static void requireCommit(Message message) throws MigrationAborted {
    if (!(message instanceof Commit)) {
      throw SourceLine.unexpected(message);
    }
  }

  /** Whether the connection of which the COMMIT came can bring no pages any more. */
  boolean pagesCutOff() {
    return pagesCutOff;
  }

  /** Whether the source has given its guest away. */
  boolean committed() {
    return committed;
  }

  /**
   * From here on the guest is this host's: on disk first, then it runs, then the source is told. A
   * guest that has ended is not taken over, and one that ends before it was told to run is given
   * back: nobody else can know that the copy on the source is the guest.
   *
   * @param written run as soon as it is on disk
   * @return what loading and starting cost, in microseconds
   */
  long takeOver(Runnable written) throws MigrationAborted, InterruptedException {
    progress.phase("taking over");
    if (guest.process().hasEnded()) {
      throw neverRan(null);
    }
    record(LedgerState.TAKEN_OVER, null);
    long writtenAt = System.nanoTime();
    written.run();
    HoldPoint.reached("taken-over");
    if (guest.process().hasEnded()) {
      throw givenBack(null);
    }
    try {
      activation.start();
    } catch (GuestControlException e) {
      if (guest.process().endsWithin(activation.mayRun() ? ENDING : VANISHING)) {
        throw activation.mayRun() ? mayHaveRun(e) : givenBack(e);
      }
      throw new MigrationAborted(
          AbortReason.GUEST_CONTROL_FAILED,
          "the guest belongs to the target now and stands paused there, because it did not start: "
              + e.getMessage()
              + (beforeItsPages ? "; that is tried again" : "; run 'pageferry target sweep' there"),
          e);
    }
    long takeOverMicros = (System.nanoTime() - committedAt) / 1_000;
    long downtimeMicros = activation.guestDowntimeMicros();
    HoldPoint.reached("started");
    line.send(
        new Started(
            takeOverMicros,
            downtimeMicros,
            activation.loadMicros(),
            (writtenAt - committedAt) / 1_000,
            activation.startMicros()));
    progress.phase("running here");
    noteStarted();
    activation.announce();
    story.info(
        "guest '{}' runs here, {} ms after the source's word{}",
        offer.guest(),
        takeOverMicros / 1000.0,
        downtimeMicros > 0 ? "; it stood still for " + downtimeMicros / 1000.0 + " ms" : "");
    return activation.loadMicros() + takeOverMicros;
  }

  private MigrationAborted givenBack(@Nullable GuestControlException cause)
      throws MigrationAborted {
    record(LedgerState.ABANDONED, null);
    return neverRan(cause);
  }

  private MigrationAborted neverRan(@Nullable GuestControlException cause) {
    return new MigrationAborted(
        AbortReason.GUEST_ENDED,
        "the guest never ran on the target: its process there ended" + lastWords(),
        cause);
  }

  private MigrationAborted mayHaveRun(GuestControlException cause) {
    return new MigrationAborted(
        AbortReason.GUEST_ENDED,
        "the guest's process on the target ended as it was told to run" + lastWords(),
        cause);
  }

  private String lastWords() {
    return guest.process().launched().map(GuestLaunch::lastWords).orElse("");
  }

  /**
   * The source knows: nobody will ask any more. Without its word the ledger stays open to be asked.
   */
  void awaitGoodbye(LandedPages landed) throws InterruptedException {
    String why = "nothing came";
    try {
      if (line.next(GOODBYE) instanceof ReceptionEvent.FromSource(Goodbye goodbye, long nanos)) {
        record(LedgerState.COMPLETED, null);
        story.info(
            "migration {} is complete: {} pages landed, {} of them zero",
            offer.migration(),
            landed.pages(),
            landed.zeroPages());
        return;
      }
    } catch (MigrationAborted | SourceLost e) {
      why = String.valueOf(e.getMessage());
    }
    story.warn(
        "migration {}: the source did not confirm ({}); it can still ask", offer.migration(), why);
  }

  /** On disk when it returns. */
  private void record(LedgerState state, @Nullable LedgerFields fields) throws MigrationAborted {
    try {
      guest.ledger().record(state, fields);
    } catch (LedgerException e) {
      throw new MigrationAborted(
          AbortReason.IO_ERROR, "the target cannot keep its ledger: " + e.getMessage(), e);
    }
  }

  /** So that a sweep after a crash does not start a guest that somebody has paused since. */
  private void noteStarted() {
    try {
      guest.ledger().update(guest.ledger().fields().with(TargetLedger.STARTED, "true"));
    } catch (LedgerException e) {
      LOG.warn("migration {}: {}", offer.migration(), e.getMessage());
    }
  }
}
