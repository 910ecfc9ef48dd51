package io.pageferry.agent.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class ReportSummaryTest {
  @Test
  void aMoveIsToldInFiveLines() {
    assertThat(ReportSummary.lines(ReportFileTest.completed()))
        .containsExactly(
            "Moved demo (512 MiB) to target (127.0.0.1:7420) in 830 ms.",
            "  moved      135,000 pages in 2 rounds, 133.51 MiB on the wire"
                + " (98,304 zero, 30,000 raw, 6,696 LZ4)",
            "  downtime   11.5 ms seen by the guest; 12.75 ms by the agents: pause 500 µs, last"
                + " pages 6.25 ms, device state 3 ms, commit 1.5 ms, start 1.5 ms",
            "  verified   yes: the digests of both images are equal",
            "  secured    by TLSv1.3, X25519MLKEM768");
  }

  @Test
  void aPausedGuestComesWithTheCommandThatSettlesIt() {
    MigrationReport done = ReportFileTest.completed();
    MigrationReport paused =
        new MigrationReport(
            done.migration(),
            MigrationReport.Outcome.PAUSED,
            done.mode(),
            done.guest(),
            done.times(),
            done.downtimeParts(),
            null,
            null,
            done.pages(),
            done.bytes(),
            done.deltaCache(),
            done.rounds(),
            done.faults(),
            false,
            null,
            done.tracking(),
            "nothing heard from the target for 5 s",
            done.peer(),
            done.agentVersion(),
            done.stopReason(),
            done.switchedBy(),
            done.application());
    List<String> lines = ReportSummary.lines(paused);
    assertThat(lines.get(0)).contains("'pageferry source recover " + done.migration() + "'");
    assertThat(lines).contains("  secured    no: plain TCP");
  }

  @Test
  void postCopySaysHowThePagesCame() {
    MigrationReport done = ReportFileTest.completed();
    MigrationReport postcopy =
        new MigrationReport(
            done.migration(),
            done.outcome(),
            "postcopy",
            done.guest(),
            new MigrationReport.Times(10, 0, 9.0, 640.0, 660),
            done.downtimeParts(),
            null,
            null,
            new MigrationReport.Pages(
                131072, 131072, 100000, 31072, 0, 0, 0, 0, 0, 0, 0, 321, 130751, 0),
            done.bytes(),
            done.deltaCache(),
            List.of(new MigrationReport.Round(1, 131072, 130000000, 640, 0, 0)),
            new MigrationReport.Faults(350, 180.5, 900, 4000, 12, 130000, 0),
            true,
            done.tls(),
            null,
            null,
            done.peer(),
            done.agentVersion(),
            null,
            "plan",
            MigrationReport.Application.UNKNOWN);
    assertThat(ReportSummary.lines(postcopy))
        .contains(
            "  post-copy  all pages there after 640 ms: 130,751 pushed, 321 sent for 350 faults"
                + " (half of them served within 180.5 µs, 99 % within 900 µs)");
  }
}
