package io.pageferry.agent.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportFileTest {
  @TempDir Path folder;

  static MigrationReport completed() {
    return new MigrationReport(
        UUID.fromString("6f1f2a94-8a52-4f6d-9a1c-0c1c33f8d001"),
        MigrationReport.Outcome.COMPLETED,
        "precopy",
        new MigrationReport.Guest("demo", 536870912, 4096),
        new MigrationReport.Times(812.5, 640.25, 12.75, 0.5, 830.0),
        new MigrationReport.DowntimeParts(0.5, 6.25, 3.0, 1.5, 1.5),
        11.5,
        12.0,
        new MigrationReport.Pages(131072, 135000, 98304, 30000, 6696, 0, 0, 0, 0, 0, 3928, 0, 0, 0),
        new MigrationReport.Bytes(140000000, 552960000),
        new MigrationReport.DeltaCache(67108864, 210, 3928, 0),
        List.of(
            new MigrationReport.Round(1, 131072, 130000000, 600.5, 3500, 0),
            new MigrationReport.Round(2, 3928, 10000000, 39.75, 210, 25)),
        MigrationReport.Faults.NONE,
        true,
        new MigrationReport.Tls("TLSv1.3", "X25519MLKEM768"),
        "userfaultfd-wp",
        null,
        "target (127.0.0.1:7420)",
        "0.1.0",
        "downtime-limit",
        null,
        new MigrationReport.Application(5000.5, null, null));
  }

  private static String golden() throws IOException {
    try (var in =
        Objects.requireNonNull(ReportFileTest.class.getResourceAsStream("report.golden.json"))) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  @Test
  void theFileIsTheOnePromised() throws Exception {
    Path file = folder.resolve("report.json");
    ReportFile.write(file, completed());
    assertThat(Files.readString(file)).isEqualTo(golden());
    assertThat(ReportFile.read(file)).isEqualTo(completed());
  }

  @Test
  void anOlderReportIsReplacedAndNothingElseIsLeftBehind() throws Exception {
    Path file = folder.resolve("report.json");
    Files.writeString(file, "old");
    ReportFile.write(file, completed());
    assertThat(Files.readString(file)).startsWith("{");
    try (var files = Files.list(folder)) {
      assertThat(files).containsExactly(file);
    }
  }

  /** As root a rename would put a file in the place of {@code /dev/stdout}. */
  @Test
  void aLinkStaysOne() throws Exception {
    Path file = Files.createFile(folder.resolve("elsewhere.json"));
    Path link = Files.createSymbolicLink(folder.resolve("report.json"), file);
    ReportFile.write(link, completed());
    assertThat(link).isSymbolicLink();
    assertThat(Files.readString(file)).isEqualTo(golden());
  }

  @Test
  void whetherItCanBeWrittenIsKnownBefore() {
    assertThat(ReportFile.mayBe(folder.resolve("report.json"))).isTrue();
    assertThat(ReportFile.mayBe(Path.of("report.json"))).isTrue();
    assertThat(ReportFile.mayBe(folder.resolve("none/report.json"))).isFalse();
    assertThat(ReportFile.mayBe(folder)).isFalse();
  }

  @Test
  void aFolderThatIsNotThereIsAnErrorAndLeavesNothing() {
    Path file = folder.resolve("none/report.json");
    assertThatThrownBy(() -> ReportFile.write(file, completed())).isInstanceOf(IOException.class);
    assertThat(folder).isEmptyDirectory();
  }
}
