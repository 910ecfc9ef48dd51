package io.pageferry.integration.bench;

import io.pageferry.integration.bench.WanderingGuest.Move;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuGuestSpec.Content;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.QemuOwnMigration;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.TemporaryPki;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;

/**
 * Pageferry against QEMU's own migration: the same guest in QEMU moves on and on, in turn by QEMU
 * (as a single stream and by multifd) and by Pageferry (plain and TLS).
 *
 * <p>Total time begins for all of them when nothing of the guest is on the other side: Pageferry
 * starts the process there in the course of a migration, and for QEMU somebody does it before he
 * orders one. How long that took is said; the rest is as each of them counts, like the bytes. The
 * downtime is taken from the guest's heartbeat in the same way for all. The yardstick of each
 * figure is the best that QEMU did with the same guest in any way, figure by figure. What QEMU does
 * with a guest in memory of its own, which nobody else can move, is only said.
 */
final class PeersBench implements Benchmark {
  private static final double DOWNTIME_LIMIT_MS = 25;
  private static final double HELD_LIMIT_MS = 2;
  private static final long GIGABIT_BYTES = 125_000_000;

  /** The default of both. */
  private static final Duration DOWNTIME_LIMIT = Duration.ofMillis(300);

  private static final int WORKING_MIB = 64;
  private static final long PAGES_PER_SECOND = 5_000;

  private final boolean quick;
  private final int runs;
  private final Workplace workplace;
  private final QemuKit kit;
  private final List<Ours> ours;

  /** For how long attaching held the guest, each time that Pageferry did. */
  private final Series holds = new Series();

  /** Pageferry, in one of its ways. */
  private record Ours(String name, TargetHost target, PeerSecurity security) {}

  /** QEMU, in one of its ways. */
  private record Theirs(String name, int channels, boolean ownMemory) {}

  private static final List<Theirs> WITH_A_FILE =
      List.of(
          new Theirs("single stream", 0, false),
          new Theirs("multifd 2", 2, false),
          new Theirs("multifd 4", 4, false));

  /** Where the memory is QEMU's own, which none but itself can move. */
  private static final List<Theirs> WITH_ITS_OWN =
      List.of(
          new Theirs("single stream, own memory", 0, true),
          new Theirs("multifd 4, own memory", 4, true));

  /** What one of them came to over all runs. */
  private record Standing(
      String name, Series seconds, Series beforehand, Series millis, Series megabytes) {
    static Standing of(String name) {
      return new Standing(name, new Series(), new Series(), new Series(), new Series());
    }

    void add(Move move) {
      seconds.add(move.totalMillis() / 1e3);
      beforehand.add(move.beforehandMillis() / 1e3);
      millis.add(move.downtimeMillis());
      megabytes.add(move.bytes() / 1e6);
    }

    /** One line for people. */
    String line(String guest) {
      return "%-46s %9.3f s, %.3f s of it before the first page, %.1f ms, %.0f MB"
          .formatted(
              guest + ", QEMU " + name,
              seconds.median(),
              beforehand.median(),
              millis.median(),
              megabytes.median());
    }
  }

  private PeersBench(boolean quick, Workplace workplace, QemuKit kit, List<Ours> ours) {
    this.quick = quick;
    this.runs = quick ? 2 : 5;
    this.workplace = workplace;
    this.kit = kit;
    this.ours = ours;
  }

  static PeersBench start(boolean quick) throws IOException, InterruptedException {
    Workplace workplace = Workplace.create("pageferry-bench");
    Runtime.getRuntime().addShutdownHook(new Thread(workplace::close, "bench-ends"));
    QemuKit kit = QemuKit.prepare(workplace.folder());
    Path pki = TemporaryPki.create(workplace.subfolder("pki"), "source", "target");
    return new PeersBench(
        quick,
        workplace,
        kit,
        List.of(
            ours(workplace, "plain", PeerSecurity.plaintext()),
            ours(workplace, "TLS", PeerSecurity.tls(pki))));
  }

  private static Ours ours(Workplace workplace, String name, PeerSecurity security)
      throws IOException, InterruptedException {
    return new Ours(
        name,
        TargetHost.start(workplace, name + "-target", security, List.of()).awaitReady(),
        security);
  }

  @Override
  public void run(Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    String idle = quick ? "idle 512 MiB" : "idle 2 GiB";
    if (wantsAny(wanted, idle)) {
      race(idle, idleGuest(), QemuOwnMigration.UNLIMITED, wanted, results);
    }
    String writing = "5000 pages/s";
    if (wantsAny(wanted, writing)) {
      race(writing, writingGuest(), QemuOwnMigration.UNLIMITED, wanted, results);
    }
    String capped = "5000 pages/s at 1 Gbit/s";
    if (wantsAny(wanted, capped)) {
      race(capped, writingGuest(), GIGABIT_BYTES, wanted, results);
    }
    postCopy(wanted, results);
  }

  private QemuGuestSpec idleGuest() {
    return quick
        ? QemuGuestSpec.of("idle", kit, 512, 0).withContent(new Content(32, 0, 256))
        : QemuGuestSpec.of("idle", kit, 2048, 0).withContent(new Content(32, 0, 1200));
  }

  private QemuGuestSpec writingGuest() {
    return quick
        ? QemuGuestSpec.of("writing", kit, 512, PAGES_PER_SECOND)
            .withContent(new Content(WORKING_MIB, 0, 128))
        : QemuGuestSpec.of("writing", kit, 1024, PAGES_PER_SECOND)
            .withContent(new Content(WORKING_MIB, 0, 600));
  }

  private static final List<String> METRICS =
      List.of("total time", "downtime by heartbeat", "bytes on the wire");

  private static String figure(String guest, Ours one, String metric) {
    return "%s, %s, %s".formatted(guest, one.name(), metric);
  }

  private boolean wantsAny(Predicate<String> wanted, String guest) {
    return ours.stream()
        .anyMatch(
            one -> METRICS.stream().anyMatch(metric -> wanted.test(figure(guest, one, metric))));
  }

  private void race(
      String name,
      QemuGuestSpec spec,
      long bytesPerSecond,
      Predicate<String> wanted,
      Results results)
      throws IOException, InterruptedException {
    boolean capped = bytesPerSecond == GIGABIT_BYTES;
    List<Standing> us = ours.stream().map(one -> Standing.of(one.name())).toList();
    List<Standing> them = new ArrayList<>();
    try (WanderingGuest guest = WanderingGuest.boot(workplace, spec)) {
      List<Theirs> withAFile = capped || quick ? WITH_A_FILE.subList(0, 2) : WITH_A_FILE;
      withAFile.forEach(way -> them.add(Standing.of(way.name())));
      for (int run = 0; run <= runs; run++) {
        // In turn: one of ours, one of theirs.
        for (int turn = 0; turn < Math.max(ours.size(), withAFile.size()); turn++) {
          if (turn < ours.size()) {
            Ours one = ours.get(turn);
            note(run, us.get(turn), byPageferry(guest, one, cap(capped)));
          }
          if (turn < withAFile.size()) {
            note(
                run,
                them.get(turn),
                guest.byQemu(
                    new QemuOwnMigration(
                        withAFile.get(turn).channels(), bytesPerSecond, DOWNTIME_LIMIT)));
          }
        }
      }
      guest.verify();
    }
    them.forEach(one -> results.say(one.line(name)));
    if (!capped && !quick) {
      inItsOwnMemory(spec, bytesPerSecond).forEach(one -> results.say(one.line(name)));
    }
    for (Standing we : us) {
      results.say(
          "%-46s %9.3f s of it before the first page is sent"
              .formatted(name + ", " + we.name(), we.beforehand().median()));
    }
    for (int index = 0; index < ours.size(); index++) {
      Standing we = us.get(index);
      List<Figure> figures =
          List.of(
              compared(
                  figure(name, ours.get(index), METRICS.get(0)), we, them, Standing::seconds, "s"),
              compared(
                  figure(name, ours.get(index), METRICS.get(1)), we, them, Standing::millis, "ms"),
              compared(
                  figure(name, ours.get(index), METRICS.get(2)),
                  we,
                  them,
                  Standing::megabytes,
                  "MB"));
      figures.stream().filter(figure -> wanted.test(figure.name())).forEach(results::add);
    }
  }

  /** The same guest once more, whose memory is not in a file: what QEMU does best may need that. */
  private List<Standing> inItsOwnMemory(QemuGuestSpec spec, long bytesPerSecond)
      throws IOException, InterruptedException {
    List<Standing> them = WITH_ITS_OWN.stream().map(way -> Standing.of(way.name())).toList();
    try (WanderingGuest guest =
        WanderingGuest.boot(workplace, spec.inItsOwnMemory(spec.name() + "-own"))) {
      for (int run = 0; run <= runs; run++) {
        for (int way = 0; way < them.size(); way++) {
          note(
              run,
              them.get(way),
              guest.byQemu(
                  new QemuOwnMigration(
                      WITH_ITS_OWN.get(way).channels(), bytesPerSecond, DOWNTIME_LIMIT)));
        }
      }
    }
    return them;
  }

  private Move byPageferry(WanderingGuest guest, Ours one, List<String> options)
      throws IOException, InterruptedException {
    Move move = guest.byPageferry(one.target(), one.security(), options);
    move.heldMillis().ifPresent(holds::add);
    return move;
  }

  /** The first run warms up and does not count. */
  private static void note(int run, Standing standing, Move move) {
    if (run > 0) {
      standing.add(move);
    }
  }

  private static List<String> cap(boolean capped) {
    return capped ? List.of("--bandwidth", "1Gbit") : List.of();
  }

  private interface Metric {
    Series of(Standing standing);
  }

  private static Figure compared(
      String name, Standing we, List<Standing> them, Metric metric, String unit) {
    ToDoubleFunction<Standing> median = one -> metric.of(one).median();
    Standing best = them.stream().min(Comparator.comparingDouble(median)).orElseThrow();
    return Figure.of(name, metric.of(we), unit, "QEMU " + best.name(), metric.of(best));
  }

  private void postCopy(Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    String downtime = "5000 pages/s in post-copy, TLS, downtime by heartbeat";
    String held = "attach, guest held";
    if (!wanted.test(downtime) && !wanted.test(held)) {
      return;
    }
    Series millis = new Series();
    try (WanderingGuest guest = WanderingGuest.boot(workplace, writingGuest())) {
      for (int run = 0; run <= (quick ? 3 : 10); run++) {
        Move move = byPageferry(guest, ours.getLast(), List.of("--mode", "postcopy"));
        if (run > 0) {
          millis.add(move.downtimeMillis());
          results.say(
              "  run %d: %.1f ms, %d faults".formatted(run, move.downtimeMillis(), move.faults()));
        }
        // And away again, which attaches to it.
        var _ = byPageferry(guest, ours.getFirst(), List.of());
      }
      guest.verify();
    }
    if (wanted.test(downtime)) {
      results.add(Figure.of(downtime, millis, "ms", "limit", DOWNTIME_LIMIT_MS));
    }
    if (wanted.test(held) && holds.size() > 0) {
      results.add(Figure.of(held, holds, "ms", "limit", HELD_LIMIT_MS));
    }
  }

  @Override
  public void close() {
    workplace.close();
  }
}
