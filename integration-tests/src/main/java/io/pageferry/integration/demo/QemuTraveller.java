package io.pageferry.integration.demo;

import io.pageferry.integration.process.Caller;
import io.pageferry.integration.process.GuestConsole;
import io.pageferry.integration.process.GuestNetwork;
import io.pageferry.integration.process.GuestSpec;
import io.pageferry.integration.process.QemuGuest;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A Linux guest in an unmodified QEMU. It knows nothing of being moved, so how long it stood still
 * is seen from outside: by when its heartbeat came over the serial lines of both hosts, and where
 * it is on a network, by how long a client waited for an answer.
 *
 * <p>Threads: the main thread, until another one closes it.
 */
final class QemuTraveller implements Traveller {
  private static final Duration FIRST_BEAT = Duration.ofSeconds(30);
  private static final Duration ANSWERS = Duration.ofMinutes(1);
  private static final int PAGE_BYTES = 4096;

  private final int memoryMiB;
  private final long bytesPerSecond;
  private final boolean onNetwork;
  private @Nullable GuestNetwork network;
  private @Nullable Caller caller;
  private Caller.@Nullable Conversation conversation;
  private @Nullable QemuGuest here;
  private @Nullable QemuGuest there;
  private boolean closed;
  private long pages;

  /**
   * @param bytesPerSecond how much it writes
   * @param onNetwork whether it has an address, and a client talks to it while it moves
   */
  QemuTraveller(int memoryMiB, long bytesPerSecond, boolean onNetwork) {
    this.memoryMiB = memoryMiB;
    this.bytesPerSecond = bytesPerSecond;
    this.onNetwork = onNetwork;
  }

  /** Whoever closes this meanwhile waits, so that no part of a network is left. */
  @Override
  public synchronized Scene scene() throws IOException, InterruptedException {
    if (!onNetwork) {
      return Scene.LOOPBACK;
    }
    if (closed) {
      throw new IOException("the run has ended, no network is made any more");
    }
    network = GuestNetwork.create();
    return Scene.on(network);
  }

  @Override
  public GuestSpec spec() {
    return here().spec();
  }

  @Override
  public String description() {
    return "a Linux guest of %dM in QEMU that writes %d pages/s%s"
        .formatted(
            memoryMiB,
            bytesPerSecond / PAGE_BYTES,
            onNetwork ? " and answers a client on a network" : "");
  }

  @Override
  public void start(SourceHost source) throws IOException, InterruptedException {
    QemuKit kit = QemuKit.prepare(source.folder());
    long pagesPerSecond = bytesPerSecond / PAGE_BYTES;
    here =
        source.startGuest(
            network == null
                ? QemuGuestSpec.of("demo", kit, memoryMiB, pagesPerSecond)
                : network.join(
                    QemuGuestSpec.of("demo", kit.withDevices(), memoryMiB, pagesPerSecond)));
  }

  @Override
  public void awaitReady() throws IOException, InterruptedException {
    pages = here().awaitReady();
    if (network != null) {
      caller = network.call();
      caller.talk();
    }
  }

  @Override
  public void announceTo(TargetHost target) throws IOException {
    target.expect(spec());
    there = QemuGuest.expectedAt(target, here().spec());
  }

  @Override
  public RunningProcess process() {
    return here().process();
  }

  @Override
  public Testimony testifyThere() throws IOException, InterruptedException {
    GuestConsole before = here().console();
    GuestConsole after = there().console();
    GuestConsole.Beat first = after.awaitFirstBeat(FIRST_BEAT);
    if (caller != null) {
      // Some of what it said before the guest had moved may come back only now.
      caller.awaitAnswer(ANSWERS);
      conversation = caller.hush(ANSWERS);
    }
    GuestConsole.Beat last = Objects.requireNonNull(before.lastBeat());
    GuestConsole.Verification verification = there().verify();
    List<String> faults = new ArrayList<>(before.faults());
    faults.addAll(after.faults());
    // One that waited in the serial port when the guest was paused is heard on both sides.
    if (first.number() < last.number()) {
      faults.add(
          "heartbeat %d came after %d: it ran twice".formatted(first.number(), last.number()));
    }
    double downtime = (first.nanos() - last.nanos()) / 1e6;
    return new Testimony(
        true,
        "by the heartbeat on its serial line",
        downtime,
        Math.max(downtime, Math.max(millis(before.longestGap()), millis(after.longestGap()))),
        pages,
        verification.pages(),
        Math.max(verification.faults(), faults.size()),
        faults.isEmpty() ? null : faults.getFirst(),
        verification.writes());
  }

  @Override
  public Testimony testifyHere() throws IOException, InterruptedException {
    GuestConsole console = here().console();
    console.awaitNextBeat(FIRST_BEAT);
    GuestConsole.Verification verification = here().verify();
    return new Testimony(
        true,
        "by the heartbeat on its serial line",
        0,
        millis(console.longestGap()),
        pages,
        verification.pages(),
        verification.faults(),
        console.faults().isEmpty() ? null : console.faults().getFirst(),
        verification.writes());
  }

  private static double millis(Duration duration) {
    return duration.toNanos() / 1e6;
  }

  @Override
  public Optional<Caller.Conversation> conversation() {
    return Optional.ofNullable(conversation);
  }

  @Override
  public void quitThere() throws IOException {
    there().quit();
  }

  private QemuGuest here() {
    return Objects.requireNonNull(here, "not started yet");
  }

  private QemuGuest there() {
    return Objects.requireNonNull(there, "not announced yet");
  }

  @Override
  public synchronized void close() {
    closed = true;
    if (caller != null) {
      caller.close();
    }
    if (network != null) {
      network.close();
    }
    if (here != null) {
      here.close();
    }
    if (there != null) {
      there.close();
    }
  }
}
