package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.TemporaryPki;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;

/**
 * What is not sent: traffic, total time and downtime as the agents move a guest by default, against
 * a plain pre-copy of the same guest in the same run, in which every page goes as it is, those of
 * zeros too. Both may pause the guest for as long as the last round takes, so that a guest that
 * writes faster than the link carries shows in the downtime and does not become a post-copy. Then
 * compression by itself ({@link CompressionFigures}).
 */
final class SavingsBench implements Benchmark {
  private static final double MEGA = 1e6;
  private static final List<String> USUAL = List.of("--on-stall", "pause");
  private static final List<String> PLAIN =
      List.of("--on-stall", "pause", "--zero", "off", "--compress", "off", "--delta", "off");

  /** What a guest does, by the options of the demo guest. */
  private enum Workload {
    READ_MOSTLY("read-mostly", "2MB/s"),
    WRITE_HEAVY("write-heavy", "16MB/s");

    private final String title;
    private final String dirtyRate;

    Workload(String title, String dirtyRate) {
      this.title = title;
      this.dirtyRate = dirtyRate;
    }
  }

  /** How fast the link is, with a guest that crosses it in some seconds. */
  private enum Cap {
    SLOW("100Mbit", "96M"),
    FAST("1Gbit", "512M");

    private final String rate;
    private final String memory;

    Cap(String rate, String memory) {
      this.rate = rate;
      this.memory = memory;
    }
  }

  /** What is compared. */
  private enum Measure {
    TRAFFIC("traffic", "MB"),
    TOTAL_TIME("total time", "ms"),
    DOWNTIME("downtime", "ms");

    private final String title;
    private final String unit;

    Measure(String title, String unit) {
      this.title = title;
      this.unit = unit;
    }

    double of(JsonNode report) {
      return switch (this) {
        case TRAFFIC -> report.path("bytes").path("wire").asDouble() / MEGA;
        case TOTAL_TIME -> report.path("times").path("totalMs").asDouble();
        case DOWNTIME -> report.path("times").path("downtimeMs").asDouble();
      };
    }
  }

  private final boolean quick;
  private final int runs;
  private final Workplace workplace;
  private final MeasuredMigrations hosts;

  private SavingsBench(boolean quick, Workplace workplace, MeasuredMigrations hosts) {
    this.quick = quick;
    this.runs = quick ? 1 : 3;
    this.workplace = workplace;
    this.hosts = hosts;
  }

  static SavingsBench start(boolean quick) throws IOException, InterruptedException {
    Workplace workplace = Workplace.create("pageferry-bench");
    Runtime.getRuntime().addShutdownHook(new Thread(workplace::close, "bench-ends"));
    PeerSecurity tls =
        PeerSecurity.tls(TemporaryPki.create(workplace.subfolder("pki"), "source", "target"));
    return new SavingsBench(quick, workplace, MeasuredMigrations.between(workplace, "tls", tls));
  }

  @Override
  public void run(Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    // The first migrations of a target agent find its code cold.
    move(Workload.READ_MOSTLY, Cap.FAST, USUAL);
    move(Workload.READ_MOSTLY, Cap.FAST, PLAIN);
    for (Workload workload : Workload.values()) {
      for (Cap cap : Cap.values()) {
        String name = "%s, %s/s, ".formatted(workload.title, cap.rate);
        if (Arrays.stream(Measure.values()).anyMatch(m -> wanted.test(name + m.title))) {
          compare(name, workload, cap, wanted, results);
        }
      }
    }
    new CompressionFigures(quick, hosts).run(wanted, results);
  }

  private void compare(
      String name, Workload workload, Cap cap, Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    Map<Measure, Series> usual = series();
    Map<Measure, Series> plain = series();
    String deltas = "";
    for (int run = 0; run < runs; run++) {
      add(plain, move(workload, cap, PLAIN));
      JsonNode report = move(workload, cap, USUAL);
      deltas = counts(report);
      add(usual, report);
    }
    for (Measure measure : Measure.values()) {
      if (wanted.test(name + measure.title)) {
        results.add(
            Figure.of(
                name + measure.title,
                Objects.requireNonNull(usual.get(measure)),
                measure.unit,
                "plain pre-copy",
                Objects.requireNonNull(plain.get(measure))));
      }
    }
    results.say(deltas);
  }

  /** How the pages went. */
  static String counts(JsonNode report) {
    JsonNode pages = report.path("pages");
    return String.format(
        Locale.ROOT,
        "  %,d pages sent in %d rounds: %,d zero, %,d raw, %,d LZ4, %,d zstd, %,d delta",
        pages.path("sent").asLong(),
        report.path("rounds").size(),
        pages.path("zero").asLong(),
        pages.path("raw").asLong(),
        pages.path("lz4").asLong(),
        pages.path("zstd").asLong(),
        pages.path("delta").asLong());
  }

  private JsonNode move(Workload workload, Cap cap, List<String> how)
      throws IOException, InterruptedException {
    DemoGuestSpec spec =
        DemoGuestSpec.uniform("busy", cap.memory, workload.dirtyRate)
            .withPattern("hot-spot")
            .with("--write-bytes", "256");
    List<String> options = new ArrayList<>(List.of("--bandwidth", cap.rate));
    options.addAll(how);
    return hosts.move(hosts.start(spec), options).report();
  }

  private static Map<Measure, Series> series() {
    Map<Measure, Series> all = new EnumMap<>(Measure.class);
    for (Measure measure : Measure.values()) {
      all.put(measure, new Series());
    }
    return all;
  }

  private static void add(Map<Measure, Series> to, JsonNode report) {
    to.forEach((measure, series) -> series.add(measure.of(report)));
  }

  @Override
  public void close() {
    workplace.close();
  }
}
