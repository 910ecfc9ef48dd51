package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.GuestConsole.Beat;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.ProcessFailure;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.Predicate;

/**
 * What it costs a Linux guest with a database to come back to a host that keeps its copy of it,
 * after it has worked elsewhere, against what the way there cost. And whether it does harm to ask
 * where nothing is left: a guest that comes back to a copy that has been overwritten, against one
 * that does not ask.
 */
final class WarmReturnFigures {
  private static final String IN_VAIN = "warm, nothing left of the copy, rounds";
  private static final double MEGA = 1e6;
  private static final Duration LIMIT = Duration.ofMinutes(3);
  private static final Duration AWAY = Duration.ofMinutes(10);
  private static final Duration SHORTLY_AWAY = Duration.ofSeconds(30);
  private static final List<String> COPIES = List.of("--copy-quota", "1G");

  private final boolean quick;
  private final Duration away;
  private final String traffic;
  private final String time;
  private final Workplace workplace;
  private final PeerSecurity security;
  private final int readPercent;

  /**
   * @param readPercent how many of a hundred operations on the database only read
   */
  WarmReturnFigures(boolean quick, Workplace workplace, PeerSecurity security, int readPercent) {
    this.quick = quick;
    this.away = quick ? SHORTLY_AWAY : AWAY;
    String returning = "warm, redis read-mostly, back after %d s, ".formatted(away.toSeconds());
    this.traffic = returning + "traffic";
    this.time = returning + "rounds";
    this.workplace = workplace;
    this.security = security;
    this.readPercent = readPercent;
  }

  void run(Predicate<String> wanted, Results results) throws IOException, InterruptedException {
    boolean returns = wanted.test(traffic) || wanted.test(time);
    if (!returns && !wanted.test(IN_VAIN)) {
      return;
    }
    // Who comes back is known by the certificate of the agent that it had gone to.
    TargetHost home = TargetHost.start(workplace, "home", security.exchange(), COPIES).awaitReady();
    TargetHost abroad = TargetHost.start(workplace, "abroad", security, COPIES).awaitReady();
    try {
      if (returns) {
        comeBack(home, abroad, results);
      }
      if (wanted.test(IN_VAIN)) {
        comeBackInVain(home, abroad, results);
      }
    } finally {
      home.agent().close();
      abroad.agent().close();
    }
  }

  private void comeBack(TargetHost home, TargetHost abroad, Results results)
      throws IOException, InterruptedException {
    QemuKit kit;
    try {
      kit = QemuKit.prepareDatabase(workplace.folder());
    } catch (QemuKit.NotInstalled missing) {
      results.say("Left out is what is named warm: " + missing.getMessage());
      return;
    }
    try (WanderingGuest guest =
        WanderingGuest.boot(
            workplace,
            QemuGuestSpec.ofDatabase(
                "returning", kit, DatabaseGuest.MEMORY_MIB, DatabaseGuest.load(readPercent)))) {
      guest.reportedByPageferry(home, security.exchange(), LinkCap.FAST.options());
      JsonNode there = guest.reportedByPageferry(abroad, security, keeping());
      Beat before = guest.lastBeat();
      Thread.sleep(away);
      Beat after = guest.lastBeat();
      JsonNode back = guest.reportedByPageferry(home, security.exchange(), keeping());
      guest.verify();
      results.add(
          Figure.of(traffic, one(megabytes(back)), "MB", "the way there", megabytes(there)));
      results.add(Figure.of(time, one(millis(back)), "ms", "the way there", millis(there)));
      results.say(
          String.format(
              Locale.ROOT,
              "%s, %,d known, %,d partly%n%s, the way there%n  %.0f operations/s meanwhile",
              SavingsBench.counts(back),
              back.path("pages").path("known").asLong(),
              back.path("pages").path("partlyKnown").asLong(),
              SavingsBench.counts(there),
              (after.number() - before.number()) * 1e9 / (after.nanos() - before.nanos())));
    }
  }

  private void comeBackInVain(TargetHost home, TargetHost abroad, Results results)
      throws IOException, InterruptedException {
    SourceHost from = SourceHost.create(workplace, home.name());
    SourceHost back = SourceHost.create(workplace, abroad.name());
    Series asking = new Series();
    Series silent = new Series();
    // The first time is not counted: the agents' code is cold.
    for (int run = 0; run <= (quick ? 1 : 3); run++) {
      for (String warm : List.of("off", "auto")) {
        DemoGuestSpec spec =
            DemoGuestSpec.uniform("worn-" + warm + run, "256M", "0").withPattern("random");
        from.startGuest(spec).awaitReady();
        move(from, abroad, spec, security, COPIES);
        overwriteCopy(from, spec);
        double millis =
            millis(move(back, home, spec, security.exchange(), List.of("--warm", warm)));
        DemoGuest.arrivedAt(home, spec).quit();
        if (run > 0) {
          (warm.equals("off") ? silent : asking).add(millis);
        }
      }
    }
    results.add(Figure.of(IN_VAIN, asking, "ms", "without asking", silent));
  }

  private static JsonNode move(
      SourceHost from, TargetHost to, DemoGuestSpec spec, PeerSecurity security, List<String> more)
      throws IOException, InterruptedException {
    to.expect(spec);
    List<String> options = new ArrayList<>(LinkCap.FAST.options());
    options.addAll(more);
    Departure departure =
        from.migrate(spec, to.address(), security, null, options, Terminal.DETACHED);
    int exit = departure.awaitExit(LIMIT);
    if (exit != 0) {
      throw new ProcessFailure(
          "a measured migration ended with exit code %d%n%s%n%s"
              .formatted(exit, departure.agent().state(), to.agent().state()));
    }
    return departure.report();
  }

  /** Leaves nothing of what a host has kept of this guest. */
  private static void overwriteCopy(SourceHost host, DemoGuestSpec spec) throws IOException {
    Path image = spec.images(host.imageFolder()).getFirst();
    try (DirectoryStream<Path> copies =
        Files.newDirectoryStream(host.imageFolder(), image.getFileName() + ".copy-*")) {
      int found = 0;
      for (Path copy : copies) {
        byte[] other = new byte[1 << 20];
        new Random(found++).nextBytes(other);
        try (FileChannel channel = FileChannel.open(copy, StandardOpenOption.WRITE)) {
          for (long at = 0, end = channel.size(); at < end; at += other.length) {
            channel.write(ByteBuffer.wrap(other), at);
          }
        }
      }
      if (found != 1) {
        throw new IOException("there are %d copies of %s".formatted(found, image));
      }
    }
  }

  private static List<String> keeping() {
    List<String> options = new ArrayList<>(LinkCap.FAST.options());
    options.addAll(COPIES);
    return options;
  }

  private static Series one(double value) {
    Series series = new Series();
    series.add(value);
    return series;
  }

  private static double megabytes(JsonNode report) {
    return report.path("bytes").path("wire").asDouble() / MEGA;
  }

  /**
   * Without the time that the arriving guest's process takes to start, which has nothing to do with
   * it.
   */
  private static double millis(JsonNode report) {
    return report.path("times").path("precopyMs").asDouble();
  }
}
