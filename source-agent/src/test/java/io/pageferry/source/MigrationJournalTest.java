package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.agent.report.MigrationReport;
import io.pageferry.agent.report.MigrationReport.Outcome;
import io.pageferry.agent.report.ReportSummary;
import io.pageferry.protocol.message.MigrationMode;
import java.util.UUID;
import org.junit.jupiter.api.Test;

final class MigrationJournalTest {
  private final MigrationJournal journal =
      new MigrationJournal(UUID.randomUUID(), MigrationMode.PRECOPY, "1");

  @Test
  void whatWasNotMeasuredIsNotSaid() {
    journal.paused(System.nanoTime());
    MigrationReport report = journal.report(Outcome.COMPLETED, null);
    assertThat(journal.downtimeMillis()).isNull();
    assertThat(report.times().downtimeMs()).isNull();
    assertThat(report.times().resumeMs()).isNull();
    assertThat(report.downtimeParts()).isNull();
    assertThat(ReportSummary.lines(report)).noneMatch(line -> line.contains("downtime"));
  }

  @Test
  void withoutPostCopyTheSourceIsFreeAsSoonAsTheGuestRunsThere() {
    journal.paused(1);
    journal.started(5_000_001, Switchover.Parts.NONE, 0);
    MigrationReport report = journal.report(Outcome.COMPLETED, null);
    assertThat(report.times().downtimeMs()).isEqualTo(5);
    assertThat(report.times().resumeMs()).isZero();
    assertThat(ReportSummary.lines(report)).anyMatch(line -> line.contains("downtime"));
  }

  @Test
  void aPostCopyThatStoppedHalfwayHasNotResumed() {
    journal.switchedBy(SwitchedBy.PLAN);
    journal.paused(1);
    journal.started(5_000_001, Switchover.Parts.NONE, 0);
    assertThat(journal.report(Outcome.PAUSED, "lost").times().resumeMs()).isNull();
  }
}
