package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuestSpec;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;

/**
 * What a guest with a hot spot costs whose pages wait while it keeps writing them, against one
 * whose pages go as soon as they were written, in turn. What it writes otherwise is so much that
 * rounds with all of it do not become short enough for the pause.
 */
final class OrderFigures {
  private static final String TRAFFIC = "order, hot spot, 200Mbit/s, traffic";
  private static final String DOWNTIME = "order, hot spot, 200Mbit/s, downtime";
  private static final double MEGA = 1e6;
  private static final List<String> LINK =
      List.of("--bandwidth", "200Mbit", "--downtime-limit", "400ms", "--on-stall", "pause");

  private final boolean quick;
  private final MeasuredMigrations hosts;

  OrderFigures(boolean quick, MeasuredMigrations hosts) {
    this.quick = quick;
    this.hosts = hosts;
  }

  void run(Predicate<String> wanted, Results results) throws IOException, InterruptedException {
    if (!wanted.test(TRAFFIC) && !wanted.test(DOWNTIME)) {
      return;
    }
    Series traffic = new Series();
    Series allTraffic = new Series();
    Series downtime = new Series();
    Series allDowntime = new Series();
    String ways = "";
    for (int run = 0; run < (quick ? 1 : 3); run++) {
      JsonNode all = move("off");
      allTraffic.add(megabytes(all));
      allDowntime.add(downtimeMillis(all));
      JsonNode held = move("auto");
      traffic.add(megabytes(held));
      downtime.add(downtimeMillis(held));
      ways = ways(held) + "\n" + ways(all);
    }
    if (wanted.test(TRAFFIC)) {
      results.add(Figure.of(TRAFFIC, traffic, "MB", "none waits", allTraffic));
    }
    if (wanted.test(DOWNTIME)) {
      results.add(Figure.of(DOWNTIME, downtime, "ms", "none waits", allDowntime));
    }
    results.say(ways);
  }

  private JsonNode move(String holdBack) throws IOException, InterruptedException {
    DemoGuestSpec spec =
        DemoGuestSpec.uniform("hot", "256M", "240MB/s")
            .withPattern("hot-spot")
            .with("--working-set", "117M");
    List<String> options = new ArrayList<>(LINK);
    options.addAll(List.of("--hold-back", holdBack));
    return hosts.move(hosts.start(spec), options).report();
  }

  private static double megabytes(JsonNode report) {
    return report.path("bytes").path("wire").asDouble() / MEGA;
  }

  private static double downtimeMillis(JsonNode report) {
    return report.path("times").path("downtimeMs").asDouble();
  }

  private static String ways(JsonNode report) {
    return String.format(
        Locale.ROOT,
        "%s; %,d times one was held back",
        SavingsBench.counts(report),
        report.path("pages").path("heldBack").asLong());
  }
}
