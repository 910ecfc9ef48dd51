package io.pageferry.integration.bench;

import io.pageferry.integration.process.DemoGuestSpec;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * Compression by itself: how much memory a second the first round covers, packed as it is by
 * default against pages that go as they are, in turn, of a guest that rests. On a slow link the
 * ratio is what is gained; on one without a cap it must not be below 0.95.
 */
final class CompressionFigures {
  private static final double MEGA = 1e6;

  /** What fills the guest's memory, by the patterns of the demo guest. */
  private enum Content {
    TEXT("text", "text"),
    MIXED("3/4 compressible", "uniform"),
    NOISE("noise", "random");

    private final String title;
    private final String pattern;

    Content(String title, String pattern) {
      this.title = title;
      this.pattern = pattern;
    }
  }

  private final boolean quick;
  private final MeasuredMigrations hosts;

  CompressionFigures(boolean quick, MeasuredMigrations hosts) {
    this.quick = quick;
    this.hosts = hosts;
  }

  void run(Predicate<String> wanted, Results results) throws IOException, InterruptedException {
    for (Content content : Content.values()) {
      for (LinkCap cap : LinkCap.values()) {
        String name = "compression, %s, %s".formatted(content.title, cap.title());
        // What does not shrink takes as long as the cap says, whatever is tried.
        if (wanted.test(name) && (content != Content.NOISE || cap == LinkCap.NONE)) {
          compare(name, content, cap, results);
        }
      }
    }
  }

  private void compare(String name, Content content, LinkCap cap, Results results)
      throws IOException, InterruptedException {
    Series packed = new Series();
    Series raw = new Series();
    String how = "";
    int runs = cap == LinkCap.NONE ? 7 : 3;
    // The first time is not counted: memory may be fresh.
    for (int run = quick ? runs - 1 : 0; run <= runs; run++) {
      Passage plain = move(content, cap, "off");
      Passage auto = move(content, cap, "auto");
      if (run > 0) {
        raw.add(plain.memoryPerSecond() / MEGA);
        packed.add(auto.memoryPerSecond() / MEGA);
      }
      how = SavingsBench.counts(auto.report());
    }
    results.add(Figure.of(name, packed, "MB/s", "raw", raw));
    results.say(how);
  }

  private Passage move(Content content, LinkCap cap, String compress)
      throws IOException, InterruptedException {
    DemoGuestSpec spec =
        DemoGuestSpec.uniform("still", memory(cap), "0").withPattern(content.pattern);
    List<String> options = new ArrayList<>(List.of("--compress", compress));
    options.addAll(cap.options());
    return hosts.move(hosts.start(spec), options);
  }

  /** What crosses the link in some seconds. */
  private static String memory(LinkCap cap) {
    return switch (cap) {
      case SLOW -> "96M";
      case FAST -> "512M";
      case NONE -> "1G";
    };
  }
}
