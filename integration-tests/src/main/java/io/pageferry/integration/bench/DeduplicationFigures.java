package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DatabaseLoad;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Predicate;

/**
 * What two Linux guests of the same system cost at once to one target, against the sum of what each
 * costs alone, to one where nothing of the other is found. Both have the same kernel and the
 * distribution's essential packages, booted one after the other, and a database each, of contents
 * of its own. Pages are always compressed by zstd: whether that is worth its time follows how busy
 * the machine is, which is another matter.
 */
final class DeduplicationFigures {
  private static final String NAME = "dedup, two guests at once, traffic";
  private static final double MEGA = 1e6;
  private static final int MEMORY_MIB = 256;
  private static final int RECORDS = 10_000;
  private static final int OPERATIONS_PER_SECOND = 500;
  private static final int READ_PERCENT = 95;

  private final boolean quick;
  private final Workplace workplace;
  private final PeerSecurity security;

  DeduplicationFigures(boolean quick, Workplace workplace, PeerSecurity security) {
    this.quick = quick;
    this.workplace = workplace;
    this.security = security;
  }

  void run(Predicate<String> wanted, Results results) throws IOException, InterruptedException {
    if (!wanted.test(NAME)) {
      return;
    }
    QemuKit kit;
    try {
      kit = QemuKit.prepareDatabaseSystem(workplace.folder());
    } catch (QemuKit.NotInstalled missing) {
      results.say("Left out is what is named dedup: " + missing.getMessage());
      return;
    }
    TargetHost apart =
        TargetHost.start(workplace, "apart", security, List.of("--share", "none")).awaitReady();
    TargetHost together =
        TargetHost.start(workplace, "together", security, List.of("--share", "sender"))
            .awaitReady();
    Series sums = new Series();
    Series shared = new Series();
    String counts = "";
    try (WanderingGuest one = boot(kit, "one", 1);
        WanderingGuest other = boot(kit, "other", 2)) {
      for (int run = 0; run < (quick ? 1 : 3); run++) {
        double alone = 0;
        for (JsonNode report : List.of(move(one, apart), move(other, apart))) {
          alone += megabytes(report);
        }
        sums.add(alone);
        FutureTask<JsonNode> beside = new FutureTask<>(() -> move(other, together));
        Thread.ofPlatform().name("beside").start(beside);
        List<JsonNode> both = new ArrayList<>(List.of(move(one, together)));
        both.add(beside.get());
        shared.add(both.stream().mapToDouble(DeduplicationFigures::megabytes).sum());
        counts = SavingsBench.counts(both.getFirst()) + "\n" + SavingsBench.counts(both.getLast());
      }
      one.verify();
      other.verify();
    } catch (ExecutionException e) {
      throw new IOException("a guest did not arrive beside the other", e.getCause());
    } finally {
      apart.agent().close();
      together.agent().close();
    }
    results.add(Figure.of(NAME, shared, "MB", "sum of each alone", sums));
    results.say(counts);
  }

  private WanderingGuest boot(QemuKit kit, String name, long seed)
      throws IOException, InterruptedException {
    DatabaseLoad load = new DatabaseLoad(RECORDS, OPERATIONS_PER_SECOND, READ_PERCENT, seed);
    return WanderingGuest.boot(workplace, QemuGuestSpec.ofDatabase(name, kit, MEMORY_MIB, load));
  }

  private JsonNode move(WanderingGuest guest, TargetHost to)
      throws IOException, InterruptedException {
    List<String> options = new ArrayList<>(LinkCap.FAST.options());
    options.addAll(List.of("--compress", "zstd"));
    return guest.reportedByPageferry(to, security, options);
  }

  private static double megabytes(JsonNode report) {
    return report.path("bytes").path("wire").asDouble() / MEGA;
  }
}
