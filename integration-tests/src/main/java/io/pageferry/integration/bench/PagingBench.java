package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.NetworkLink;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TemporaryPki;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The published cost model of post-copy against what is measured: downtime, faults, resume time and
 * total time of four ways to bring the pages, on links of four speeds. Source and target are in
 * network namespaces of their own, and the kernel limits the cable between them.
 *
 * <p>The guest walks through its memory as fast as its pages come. The time to handle a fault is
 * measured first, on the cable without a limit. How many further pages come with each fault is not
 * predicted: the model takes it as given, so it is taken from the same run.
 */
final class PagingBench implements Benchmark {
  private static final int[] MEGABITS = {128, 256, 512, 924};
  private static final double PAGE = 4096;

  /** The part of what an Ethernet frame occupies that is TCP's payload. */
  private static final double PAYLOAD = 1448.0 / 1514;

  /** What the demo guest's registers come to, for a page that it writes, and besides. */
  private static final double STATE_BYTES_A_PAGE = 2;

  private static final double STATE_BYTES = 200;

  private static final String HEAD =
      String.format(
          Locale.ROOT,
          "%-10s %-14s %19s %19s %21s %21s",
          "link",
          "",
          "downtime ms",
          "faults",
          "resume ms",
          "total ms");

  private static final String UNDER =
      String.format(
          Locale.ROOT,
          "%-10s %-14s %19s %19s %21s %21s",
          "Mbit/s",
          "way",
          "predicted  measured",
          "predicted  measured",
          "predicted    measured",
          "predicted    measured");

  /** How the pages come. */
  private enum Way {
    DEMAND("demand paging", "postcopy", "none"),
    ACTIVE("active push", "postcopy", "active"),
    PREPAGING("pre-paging", "postcopy", "prepaging"),
    HYBRID("hybrid", "hybrid", "prepaging");

    private final String words;
    private final String mode;
    private final String push;

    Way(String words, String mode, String push) {
      this.words = words;
      this.mode = mode;
      this.push = push;
    }

    private List<String> options() {
      return List.of("--mode", mode, "--push", push, "--compress", "off");
    }
  }

  private final boolean quick;
  private final int runs;
  private final Workplace workplace;
  private final NetworkLink link;
  private final MeasuredMigrations hosts;
  private int guests;

  private PagingBench(
      boolean quick, Workplace workplace, NetworkLink link, MeasuredMigrations hosts) {
    this.quick = quick;
    this.runs = quick ? 1 : 3;
    this.workplace = workplace;
    this.link = link;
    this.hosts = hosts;
  }

  static PagingBench start(boolean quick) throws CommandFailure, IOException, InterruptedException {
    Workplace workplace = Workplace.create("pageferry-bench");
    NetworkLink link;
    try {
      link = NetworkLink.create();
    } catch (IOException refused) {
      workplace.close();
      throw new CommandFailure(
          ExitCode.REFUSED,
          "this benchmark makes network namespaces and limits a link, which takes root and the"
              + " commands ip and tc: run it as root",
          refused);
    }
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  workplace.close();
                  link.close();
                },
                "bench-ends"));
    Path pki = TemporaryPki.create(workplace.subfolder("pki"), "source", "target");
    MeasuredMigrations hosts =
        MeasuredMigrations.between(
            workplace,
            "remote",
            link.targetAddress(),
            PeerSecurity.tls(pki),
            Surroundings.USUAL.inNetwork(link.sourceNamespace()),
            Surroundings.USUAL.inNetwork(link.targetNamespace()));
    return new PagingBench(quick, workplace, link, hosts);
  }

  @Override
  public void run(Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    boolean any =
        IntStream.of(MEGABITS)
            .anyMatch(
                megabits ->
                    Stream.of(Way.values()).anyMatch(way -> wanted.test(name(way, megabits))));
    if (!any) {
      return;
    }
    double faultSeconds = faultSeconds();
    results.say(
        String.format(
            Locale.ROOT,
            "A fault takes %.0f us on the cable without a limit; the guest has %s of memory; medians"
                + " of %d.",
            faultSeconds * 1e6,
            memory(),
            runs));
    results.say(HEAD);
    results.say(UNDER);
    for (int megabits : MEGABITS) {
      link.limit(megabits);
      for (Way way : Way.values()) {
        if (wanted.test(name(way, megabits))) {
          double bytesPerSecond = megabits * 1e6 / 8 * PAYLOAD;
          Row row = new Row();
          for (int run = 0; run < runs; run++) {
            row.add(way, new PostCopyModel(bytesPerSecond, faultSeconds), move(way));
          }
          row.show(megabits, way, results);
        }
      }
    }
  }

  private static String name(Way way, int megabits) {
    return way.words + " at " + megabits + " Mbit/s";
  }

  private String memory() {
    return quick ? "16M" : "32M";
  }

  /** How long a page takes that the guest waits for where the link takes no time. */
  private double faultSeconds() throws IOException, InterruptedException {
    Series seconds = new Series();
    for (int run = 0; run <= 3; run++) {
      JsonNode report = move(Way.DEMAND);
      if (run > 0) {
        seconds.add(
            report.path("times").path("resumeMs").asDouble()
                / 1000
                / report.path("faults").path("count").asDouble());
      }
    }
    return seconds.median();
  }

  private JsonNode move(Way way) throws IOException, InterruptedException {
    guests++;
    // Rounds ahead of the switch are for a guest that leaves most of its memory alone.
    String written = way == Way.HYBRID ? (quick ? "4M" : "8M") : memory();
    DemoGuestSpec spec =
        DemoGuestSpec.uniform("paging" + guests, memory(), "max")
            .withPattern("sequential")
            .with("--working-set", written, "--check-rate", "0");
    return hosts.move(hosts.start(spec), way.options()).report();
  }

  /** One way on one link: what each run predicts and shows. */
  private static final class Row {
    private final Pair downtime = new Pair();
    private final Pair faults = new Pair();
    private final Pair resume = new Pair();
    private final Pair total = new Pair();

    private void add(Way way, PostCopyModel model, JsonNode report) {
      JsonNode times = report.path("times");
      double asked = report.path("pages").path("faulted").asDouble();
      double pushed = report.path("pages").path("pushed").asDouble();
      double further = asked == 0 ? pushed : pushed / asked;
      double pages = asked + pushed;
      double written = way == Way.HYBRID ? pages : report.path("pages").path("total").asDouble();

      downtime.add(
          model.downtimeMillis(STATE_BYTES + written * STATE_BYTES_A_PAGE),
          report.path("guestDowntimeMs").asDouble());
      faults.add(
          asked == 0 ? 0 : model.faults(pages, further),
          report.path("faults").path("count").asDouble());
      resume.add(
          asked == 0 ? model.carried(pages * PAGE) : model.resumeMillis(pages, further),
          times.path("resumeMs").asDouble());
      double ahead = Math.max(0, report.path("pages").path("sent").asDouble() - pages) * PAGE;
      total.add(
          model.carried(ahead) + downtime.predicted.last() + resume.predicted.last(),
          times.path("precopyMs").asDouble() + downtime.measured.last() + resume.measured.last());
    }

    private void show(int megabits, Way way, Results results) {
      String name = name(way, megabits);
      results.addRow(
          String.format(
              Locale.ROOT,
              "%-10d %-14s %s %s %s %s",
              megabits,
              way.words,
              downtime.columns("%9.1f %9.1f"),
              faults.columns("%9.0f %9.0f"),
              resume.columns("%9.0f   %9.0f"),
              total.columns("%9.0f   %9.0f")),
          List.of(
              downtime.figure(name + ", downtime", "ms"),
              faults.figure(name + ", faults", "times"),
              resume.figure(name + ", resume time", "ms"),
              total.figure(name + ", total time", "ms")));
    }
  }

  /** What the model says and what is measured, run by run. */
  private static final class Pair {
    private final Series predicted = new Series();
    private final Series measured = new Series();

    private void add(double byTheModel, double seen) {
      predicted.add(byTheModel);
      measured.add(seen);
    }

    private String columns(String format) {
      return String.format(Locale.ROOT, format, predicted.median(), measured.median());
    }

    private Figure figure(String name, String unit) {
      return Figure.of(name, measured, unit, "predicted", predicted);
    }
  }

  @Override
  public void close() {
    workplace.close();
    link.close();
  }
}
