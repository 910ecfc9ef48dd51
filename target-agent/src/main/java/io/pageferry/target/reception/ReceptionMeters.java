package io.pageferry.target.reception;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.pageferry.protocol.message.AbortReason;
import java.time.Duration;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** What the target counts, for Prometheus. Any thread. */
public final class ReceptionMeters {
  private final MeterRegistry registry;
  private final Set<LandedPages> active = ConcurrentHashMap.newKeySet();
  private final Timer rounds;
  private final Timer takeOvers;
  private final Timer faults;
  private final Counter requests;
  private final Counter linksLost;
  private final Counter pages;
  private final Counter zeroPages;
  private final Counter foundPages;

  public ReceptionMeters(MeterRegistry registry) {
    this.registry = registry;
    Gauge.builder("pageferry.target.migrations.active", active, Set::size)
        .description("Migrations that are being received")
        .register(registry);
    this.rounds =
        Timer.builder("pageferry.target.round")
            .description("From a round's announcement until all of it is in the image")
            .register(registry);
    this.takeOvers =
        Timer.builder("pageferry.target.takeover")
            .description(
                "Loading the device state, and from the source's commit until the guest runs")
            .register(registry);
    this.faults =
        Timer.builder("pageferry.target.fault")
            .description("From reading a guest's page fault until the page is there")
            .publishPercentileHistogram()
            .minimumExpectedValue(Duration.ofNanos(10_000))
            .maximumExpectedValue(Duration.ofSeconds(10))
            .register(registry);
    this.requests =
        Counter.builder("pageferry.target.pages.requested")
            .description("Pages asked for because a guest waited for them, repetitions included")
            .register(registry);
    this.linksLost =
        Counter.builder("pageferry.target.links.lost")
            .description("Connections lost while a guest that runs here missed pages")
            .register(registry);
    this.pages =
        Counter.builder("pageferry.target.pages.landed")
            .description("Pages landed, duplicates and zero pages included")
            .register(registry);
    this.zeroPages =
        Counter.builder("pageferry.target.pages.zero")
            .description("Zero pages landed")
            .register(registry);
    this.foundPages =
        Counter.builder("pageferry.target.pages.deduplicated")
            .description("Pages landed whose content was found on this host")
            .register(registry);
  }

  void began(LandedPages landed) {
    active.add(landed);
  }

  void roundLanded(LandedPages landed, long nanos) {
    rounds.record(Duration.ofNanos(nanos));
    count(landed);
  }

  /** A guest waited that long for a page. */
  void served(long nanos) {
    faults.record(Duration.ofNanos(nanos));
  }

  void requested(int count) {
    requests.increment(count);
  }

  void linkLost() {
    linksLost.increment();
  }

  void tookOver(long micros) {
    takeOvers.record(Duration.ofNanos(micros * 1_000));
  }

  void aborted(AbortReason reason) {
    registry
        .counter("pageferry.target.aborts", "reason", reason.name().toLowerCase(Locale.ROOT))
        .increment();
  }

  void ended(String outcome, LandedPages landed) {
    count(landed);
    active.remove(landed);
    registry.counter("pageferry.target.migrations", "outcome", outcome).increment();
  }

  /** Counts what has landed since it was last counted. Driver thread only. */
  void count(LandedPages landed) {
    landed.count(pages, zeroPages, foundPages);
  }
}
