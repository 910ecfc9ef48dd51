package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Every way of sending less in one migration, over two channels: what the target has from an
 * attempt whose link was cut, what it finds in a file, what differs from what it was sent before,
 * and what is shorter in another encoding. None of them may spoil what another one relies on.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 180, unit = TimeUnit.SECONDS)
final class EverySavingTest {
  private static final int FAILED = 1;
  private static final long MIB = 1 << 20;

  private static Departure migrate(Hosts hosts, DemoGuestSpec guest, String to, String... more)
      throws Exception {
    List<String> options =
        new ArrayList<>(List.of("--copy-quota", "256M", "--bandwidth", "12MB/s"));
    options.addAll(List.of(more));
    return hosts.source().migrate(guest, to, hosts.tls(), null, options, Terminal.DETACHED);
  }

  @Test
  void oneMigrationHasThemAll(Hosts hosts) throws Exception {
    SourceHost source = hosts.source();
    DemoGuestSpec spec =
        DemoGuestSpec.uniform(hosts.guestName(), "32M", "8MB/s")
            .withPattern("text")
            .with("--write-bytes", "200", "--working-set", "2M");
    DemoGuest guest = source.startGuest(spec).awaitReady();
    Path older = hosts.workplace().folder().resolve("earlier.img");
    Files.copy(spec.images(source.imageFolder()).getFirst(), older);
    TargetHost target =
        TargetHost.start(
                hosts.workplace(),
                "saving",
                hosts.tls(),
                List.of("--copy-quota", "256M", "--hint", older.toString()))
            .awaitReady();
    target.expect(spec);
    target.agent().awaitLine("hint", line -> line.contains("can be found here"), Journey.LIMIT);

    try (Relay relay = Relay.to(target)) {
      Departure cut = migrate(hosts, spec, relay.address(), "--compress", "off", "--dedup", "off");
      CompletableFuture<Void> third = relay.after(12 * MIB, () -> relay.cut(Relay.Break.RESET));
      assertThat(cut.awaitExit(Journey.LIMIT))
          .describedAs(cut.agent().transcript().text())
          .isEqualTo(FAILED);
      assertThat(third).isCompleted();
    }
    await("what is kept of the attempt")
        .atMost(Journey.LIMIT)
        .until(() -> WarmStartTest.copies(target.imageFolder(), spec).size() == 1);
    assertThat(guest.isRunning()).isTrue();

    Departure whole =
        migrate(
            hosts,
            spec,
            target.address(),
            "--channels",
            "2",
            "--downtime-limit",
            "30ms",
            "--verify",
            "full");
    JsonNode report = Journey.arrived(whole, target, spec);
    JsonNode pages = report.path("pages");
    // A third of them had come; the working set of a sixteenth is elsewhere by now.
    assertThat(pages.path("known").asLong())
        .describedAs("%s", report)
        .isBetween(spec.pages() / 8, spec.pages() / 2);
    assertThat(pages.path("deduplicated").asLong())
        .describedAs("%s", report)
        .isGreaterThan(spec.pages() / 4);
    assertThat(pages.path("delta").asLong()).describedAs("%s", report).isPositive();
    assertThat(pages.path("lz4").asLong() + pages.path("zstd").asLong())
        .describedAs("%s", report)
        .isPositive();
    assertThat(report.path("bytes").path("wire").asLong())
        .describedAs("%s", report)
        .isLessThan(spec.pages() * 4096 / 4);
    DemoGuest.arrivedAt(target, spec).quit();
    target.agent().close();
    Files.delete(older);
  }
}
