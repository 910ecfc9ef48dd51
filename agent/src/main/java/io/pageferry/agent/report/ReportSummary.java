package io.pageferry.agent.report;

import io.pageferry.guest.units.ByteSize;
import io.pageferry.guest.units.TimeSpan;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The report in a few lines for people. */
public final class ReportSummary {
  private ReportSummary() {}

  public static List<String> lines(MigrationReport report) {
    List<String> lines = new ArrayList<>();
    lines.add(headline(report));
    MigrationReport.Pages pages = report.pages();
    lines.add(
        String.format(
            Locale.ROOT,
            "  moved      %,d pages in %d %s, %s on the wire (%s)%s",
            pages.sent(),
            report.rounds().size(),
            report.rounds().size() == 1 ? "round" : "rounds",
            ByteSize.format(report.bytes().wire()),
            encodings(pages),
            pages.heldBack() == 0
                ? ""
                : String.format(Locale.ROOT, ", %,d times one was held back", pages.heldBack())));
    Double downtime = report.times().downtimeMs();
    MigrationReport.DowntimeParts parts = report.downtimeParts();
    if (downtime != null && parts != null) {
      lines.add("  downtime   " + downtime(downtime, parts, report.guestDowntimeMs()));
    }
    Double resume = report.times().resumeMs();
    if (report.switchedBy() != null && resume != null) {
      lines.add("  post-copy  " + postcopy(report, resume));
    }
    lines.add("  verified   " + verified(report));
    MigrationReport.Tls tls = report.tls();
    lines.add(
        "  secured    "
            + (tls == null ? "no: plain TCP" : "by " + tls.protocol() + ", " + tls.group()));
    return lines;
  }

  private static String headline(MigrationReport report) {
    String guest =
        report.guest().name() + " (" + ByteSize.format(report.guest().memoryBytes()) + ")";
    String where = report.peer() == null ? "" : " to " + report.peer();
    String time = millis(report.times().totalMs());
    return switch (report.outcome()) {
      case COMPLETED -> "Moved " + guest + where + " in " + time + ".";
      case FAILED -> "Not moved: " + guest + " still runs on the source.";
      case CANCELLED -> "Cancelled: " + guest + " still runs on the source.";
      case PAUSED ->
          "Paused: "
              + guest
              + "; 'pageferry source recover "
              + report.migration()
              + "' settles where it runs.";
    };
  }

  private static String encodings(MigrationReport.Pages pages) {
    List<String> parts = new ArrayList<>();
    add(parts, pages.zero(), "zero");
    add(parts, pages.raw(), "raw");
    add(parts, pages.lz4(), "LZ4");
    add(parts, pages.zstd(), "zstd");
    add(parts, pages.delta(), "delta");
    add(parts, pages.known(), "known");
    add(parts, pages.partlyKnown(), "partly known");
    add(parts, pages.deduplicated(), "deduplicated");
    return parts.isEmpty() ? "none" : String.join(", ", parts);
  }

  private static void add(List<String> parts, long pages, String what) {
    if (pages > 0) {
      parts.add(String.format(Locale.ROOT, "%,d %s", pages, what));
    }
  }

  private static String downtime(
      double downtime, MigrationReport.DowntimeParts parts, @Nullable Double seen) {
    String agents =
        millis(downtime)
            + " by the agents: pause "
            + millis(parts.pauseMs())
            + ", last pages "
            + millis(parts.finalPagesMs())
            + ", device state "
            + millis(parts.deviceStateMs())
            + ", commit "
            + millis(parts.commitMs())
            + ", start "
            + millis(parts.startMs());
    return seen == null ? agents : millis(seen) + " seen by the guest; " + agents;
  }

  private static String postcopy(MigrationReport report, double resume) {
    MigrationReport.Faults faults = report.faults();
    String came =
        String.format(
            Locale.ROOT,
            "all pages there after %s: %,d pushed, %,d sent for %,d %s",
            millis(resume),
            report.pages().pushed(),
            report.pages().faulted(),
            faults.count(),
            faults.count() == 1 ? "fault" : "faults");
    return faults.count() == 0
        ? came
        : came
            + " (half of them served within "
            + millis(faults.p50Micros() / 1000)
            + ", 99 % within "
            + millis(faults.p99Micros() / 1000)
            + ")";
  }

  private static String millis(double millis) {
    return TimeSpan.format(Duration.ofNanos(Math.round(millis * 1e6)));
  }

  private static String verified(MigrationReport report) {
    if (report.verified()) {
      return "yes: the digests of both images are equal";
    }
    return report.outcome() == MigrationReport.Outcome.COMPLETED
        ? "no"
        : "no: it did not come to that";
  }
}
