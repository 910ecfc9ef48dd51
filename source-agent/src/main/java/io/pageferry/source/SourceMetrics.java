package io.pageferry.source;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.pageferry.agent.metrics.MetricsEndpoint;
import java.io.IOException;
import java.net.InetSocketAddress;
import org.jspecify.annotations.Nullable;

/** What Prometheus may ask the source; nothing is served unless an address was given. */
final class SourceMetrics implements AutoCloseable {
  private final @Nullable MetricsEndpoint endpoint;

  private SourceMetrics(@Nullable MetricsEndpoint endpoint) {
    this.endpoint = endpoint;
  }

  /**
   * @throws IOException with a sentence for the user when the address cannot be served
   */
  static SourceMetrics serve(@Nullable InetSocketAddress address, MigrationProgress progress)
      throws IOException {
    if (address == null) {
      return new SourceMetrics(null);
    }
    PrometheusMeterRegistry registry = MetricsEndpoint.newRegistry();
    FunctionCounter.builder("pageferry.source.pages.sent", progress, MigrationProgress::pagesSent)
        .description("Pages sent, repetitions included")
        .register(registry);
    FunctionCounter.builder("pageferry.source.wire", progress, MigrationProgress::wireBytes)
        .baseUnit("bytes")
        .description("Bytes of page frames sent, before encryption")
        .register(registry);
    FunctionCounter.builder("pageferry.source.faults", progress, MigrationProgress::faults)
        .baseUnit("pages")
        .description("Pages sent in post-copy because the guest waited for them")
        .register(registry);
    FunctionCounter.builder("pageferry.source.pages.delta", progress, MigrationProgress::deltaPages)
        .description("Pages sent as the difference from what the target has; counted by the round")
        .register(registry);
    FunctionCounter.builder(
            "pageferry.source.pages.deduplicated", progress, MigrationProgress::deduplicatedPages)
        .description("Pages not sent because the target found their content; counted by the round")
        .register(registry);
    FunctionCounter.builder("pageferry.source.delta.hits", progress, MigrationProgress::deltaHits)
        .baseUnit("pages")
        .description("Pages sent again whose base was in the delta cache")
        .register(registry);
    FunctionCounter.builder(
            "pageferry.source.delta.misses", progress, MigrationProgress::deltaMisses)
        .baseUnit("pages")
        .description("Pages sent again whose base was not in the delta cache")
        .register(registry);
    FunctionCounter.builder(
            "pageferry.source.delta.overflows", progress, MigrationProgress::deltaOverflows)
        .baseUnit("pages")
        .description("Pages lost to the delta cache because it was full")
        .register(registry);
    Gauge.builder("pageferry.source.round", progress, MigrationProgress::round)
        .description("The present round, 0 before the first")
        .register(registry);
    Gauge.builder(
            "pageferry.source.round.remaining",
            progress,
            p -> Math.max(0, p.roundPages() - p.roundSent()))
        .baseUnit("pages")
        .description("Pages of the present round that are still to be sent")
        .register(registry);
    Gauge.builder("pageferry.source.dirty.rate", progress, MigrationProgress::dirtyBytesPerSecond)
        .baseUnit("bytes")
        .description("Bytes a second that the guest dirtied during the last round")
        .register(registry);
    return new SourceMetrics(MetricsEndpoint.start(address, registry));
  }

  @Override
  public void close() {
    if (endpoint != null) {
      endpoint.close();
    }
  }
}
