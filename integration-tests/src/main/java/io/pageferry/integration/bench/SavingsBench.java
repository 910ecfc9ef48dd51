package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.QemuKit;
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
 * zeros too, and as soon as it was written. Both may pause the guest for as long as the last round
 * takes, so that a guest that writes faster than the link carries shows in the downtime and does
 * not become a post-copy. First with the demo guest, then with a Linux guest that serves a
 * database; then by themselves what waits ({@link OrderFigures}), a return ({@link
 * WarmReturnFigures}), what two guests share ({@link DeduplicationFigures}), and compression
 * ({@link CompressionFigures}).
 */
final class SavingsBench implements Benchmark {
  private static final double MEGA = 1e6;
  private static final List<String> USUAL = List.of("--on-stall", "pause");
  private static final List<String> PLAIN =
      List.of(
          "--on-stall",
          "pause",
          "--zero",
          "off",
          "--compress",
          "off",
          "--delta",
          "off",
          "--dedup",
          "off",
          "--hold-back",
          "off");

  /** What a guest does: the demo guest by its options, a database by its share of reads. */
  private enum Workload {
    READ_MOSTLY("read-mostly", "2MB/s", 95),
    WRITE_HEAVY("write-heavy", "16MB/s", 50);

    private final String title;
    private final String dirtyRate;
    private final int readPercent;

    Workload(String title, String dirtyRate, int readPercent) {
      this.title = title;
      this.dirtyRate = dirtyRate;
      this.readPercent = readPercent;
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

  /** Moves a guest and returns the source agent's report. */
  private interface Mover {
    JsonNode move(List<String> options) throws IOException, InterruptedException;
  }

  private final boolean quick;
  private final Workplace workplace;
  private final PeerSecurity security;
  private final MeasuredMigrations hosts;

  private SavingsBench(
      boolean quick, Workplace workplace, PeerSecurity security, MeasuredMigrations hosts) {
    this.quick = quick;
    this.workplace = workplace;
    this.security = security;
    this.hosts = hosts;
  }

  static SavingsBench start(boolean quick) throws IOException, InterruptedException {
    Workplace workplace = Workplace.create("pageferry-bench");
    Runtime.getRuntime().addShutdownHook(new Thread(workplace::close, "bench-ends"));
    PeerSecurity tls =
        PeerSecurity.tls(TemporaryPki.create(workplace.subfolder("pki"), "source", "target"));
    return new SavingsBench(
        quick, workplace, tls, MeasuredMigrations.between(workplace, "tls", tls));
  }

  @Override
  public void run(Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    demoGuests(wanted, results);
    databases(wanted, results);
    new OrderFigures(quick, hosts).run(wanted, results);
    new WarmReturnFigures(quick, workplace, security, Workload.READ_MOSTLY.readPercent)
        .run(wanted, results);
    new DeduplicationFigures(quick, workplace, security).run(wanted, results);
    new CompressionFigures(quick, hosts).run(wanted, results);
  }

  private void demoGuests(Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    if (Arrays.stream(Workload.values()).noneMatch(work -> wantsAny(work.title, wanted))) {
      return;
    }
    // The first migrations of a target agent find its code cold.
    moveDemoGuest(Workload.READ_MOSTLY, LinkCap.FAST, USUAL);
    moveDemoGuest(Workload.READ_MOSTLY, LinkCap.FAST, PLAIN);
    for (Workload workload : Workload.values()) {
      for (LinkCap cap : LinkCap.values()) {
        compare(workload.title, cap, how -> moveDemoGuest(workload, cap, how), wanted, results);
      }
    }
  }

  private void databases(Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    for (Workload workload : Workload.values()) {
      String title = "redis " + workload.title;
      if (!wantsAny(title, wanted)) {
        continue;
      }
      QemuKit kit;
      try {
        kit = QemuKit.prepareDatabase(workplace.folder());
      } catch (QemuKit.NotInstalled missing) {
        results.say("Left out is what is named redis: " + missing.getMessage());
        return;
      }
      try (DatabaseGuest guest =
          DatabaseGuest.boot(workplace, security, kit, workload.title, workload.readPercent)) {
        guest.move(USUAL);
        guest.move(PLAIN);
        for (LinkCap cap : LinkCap.values()) {
          compare(title, cap, how -> guest.move(with(cap, how)), wanted, results);
        }
        results.say("  %.0f operations/s meanwhile".formatted(guest.operationsPerSecond()));
        guest.verify();
      }
    }
  }

  private static String name(String guest, LinkCap cap, Measure measure) {
    return "%s, %s, %s".formatted(guest, cap.title(), measure.title);
  }

  private static boolean wantsAny(String guest, LinkCap cap, Predicate<String> wanted) {
    return Arrays.stream(Measure.values()).anyMatch(m -> wanted.test(name(guest, cap, m)));
  }

  private static boolean wantsAny(String guest, Predicate<String> wanted) {
    return Arrays.stream(LinkCap.values()).anyMatch(cap -> wantsAny(guest, cap, wanted));
  }

  private void compare(
      String guest, LinkCap cap, Mover mover, Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    if (!wantsAny(guest, cap, wanted)) {
      return;
    }
    Map<Measure, Series> usual = series();
    Map<Measure, Series> plain = series();
    String sent = "";
    String plainlySent = "";
    // Uncapped they take little time, and scatter.
    int runs = quick ? 1 : cap == LinkCap.NONE ? 5 : 3;
    for (int run = 0; run < runs; run++) {
      JsonNode report = mover.move(PLAIN);
      plainlySent = counts(report);
      add(plain, report);
      report = mover.move(USUAL);
      sent = counts(report);
      add(usual, report);
    }
    List<Figure> figures = new ArrayList<>();
    for (Measure measure : Measure.values()) {
      String name = name(guest, cap, measure);
      if (wanted.test(name)) {
        figures.add(
            Figure.of(
                name,
                Objects.requireNonNull(usual.get(measure)),
                measure.unit,
                "plain pre-copy",
                Objects.requireNonNull(plain.get(measure))));
      }
    }
    figures.forEach(figure -> results.addRow(row(figure), List.of(figure)));
    results.say(sent);
    results.say(plainlySent + ", plain pre-copy");
  }

  /** What is saved, for people. */
  private static String row(Figure figure) {
    return String.format(
        Locale.ROOT,
        "%-40s %9.1f -> %8.1f %-2s  %+6.1f %%  (median of %d)",
        figure.name(),
        figure.yardstickValue(),
        figure.value(),
        figure.unit(),
        (figure.ratio() - 1) * 100,
        figure.runs());
  }

  /** How the pages went. */
  static String counts(JsonNode report) {
    JsonNode pages = report.path("pages");
    return String.format(
        Locale.ROOT,
        "  %,d pages sent in %d rounds: %,d zero, %,d raw, %,d LZ4, %,d zstd, %,d delta,"
            + " %,d deduplicated",
        pages.path("sent").asLong(),
        report.path("rounds").size(),
        pages.path("zero").asLong(),
        pages.path("raw").asLong(),
        pages.path("lz4").asLong(),
        pages.path("zstd").asLong(),
        pages.path("delta").asLong(),
        pages.path("deduplicated").asLong());
  }

  private JsonNode moveDemoGuest(Workload workload, LinkCap cap, List<String> how)
      throws IOException, InterruptedException {
    // What crosses a slow link in some seconds.
    DemoGuestSpec spec =
        DemoGuestSpec.uniform("busy", cap == LinkCap.SLOW ? "96M" : "512M", workload.dirtyRate)
            .withPattern("hot-spot")
            .with("--write-bytes", "256");
    return hosts.move(hosts.start(spec), with(cap, how)).report();
  }

  private static List<String> with(LinkCap cap, List<String> how) {
    List<String> options = new ArrayList<>(cap.options());
    options.addAll(how);
    return options;
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
