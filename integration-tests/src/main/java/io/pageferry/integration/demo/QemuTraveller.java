package io.pageferry.integration.demo;

import io.pageferry.integration.process.GuestConsole;
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
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * A Linux guest in an unmodified QEMU. It knows nothing of being moved, so how long it stood still
 * is seen from outside: by when its heartbeat came over the serial lines of both hosts.
 */
final class QemuTraveller implements Traveller {
  private static final Duration FIRST_BEAT = Duration.ofSeconds(30);
  private static final int PAGE_BYTES = 4096;

  private final int memoryMiB;
  private final long bytesPerSecond;
  private @Nullable QemuGuest here;
  private @Nullable QemuGuest there;
  private long pages;

  /**
   * @param bytesPerSecond how much it writes
   */
  QemuTraveller(int memoryMiB, long bytesPerSecond) {
    this.memoryMiB = memoryMiB;
    this.bytesPerSecond = bytesPerSecond;
  }

  @Override
  public GuestSpec spec() {
    return here().spec();
  }

  @Override
  public String description() {
    return "a Linux guest of %dM in QEMU that writes %d pages/s"
        .formatted(memoryMiB, bytesPerSecond / PAGE_BYTES);
  }

  @Override
  public void start(SourceHost source) throws IOException, InterruptedException {
    QemuKit kit = QemuKit.prepare(source.folder());
    here = source.startGuest(QemuGuestSpec.of("demo", kit, memoryMiB, bytesPerSecond / PAGE_BYTES));
  }

  @Override
  public void awaitReady() throws IOException, InterruptedException {
    pages = here().awaitReady();
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
    GuestConsole.Beat last = Objects.requireNonNull(before.lastBeat());
    GuestConsole.Verification verification = there().verify();
    List<String> faults = new ArrayList<>(before.faults());
    faults.addAll(after.faults());
    if (first.number() <= last.number()) {
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
  public OptionalDouble operationsPerSecondThere() {
    return OptionalDouble.empty();
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
  public void close() {
    if (here != null) {
      here.close();
    }
    if (there != null) {
      there.close();
    }
  }
}
