package io.pageferry.guest.control;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.guest.image.ImageRegion;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class QemuFitnessTest {
  private static final long MIB = 1 << 20;

  @TempDir private Path folder;
  private Path file;
  private List<ImageRegion> described;

  @BeforeEach
  void describe() throws IOException {
    file = Files.createFile(folder.resolve("ram"));
    described = List.of(new ImageRegion(0, "ram", file, 64 * MIB, 4096));
  }

  private QemuMachine with(List<QemuMachine.Backend> memory, List<String> strangers) {
    return new QemuMachine("7.2.0", "pc-i440fx-7.2", memory, List.of(), strangers, List.of(), true);
  }

  private Optional<String> objection(QemuMachine.Backend... memory) {
    return QemuFitness.objection(with(List.of(memory), List.of()), described);
  }

  private static QemuMachine.Backend shared(Path path, long bytes) {
    return new QemuMachine.Backend("mem", Optional.of(path), bytes, true);
  }

  @Test
  void memoryInTheDescribedFileIsFine() throws Exception {
    assertThat(objection(shared(file, 64 * MIB))).isEmpty();
    Path link = Files.createSymbolicLink(folder.resolve("link"), file);
    assertThat(objection(shared(link, 64 * MIB))).isEmpty();
  }

  @Test
  void aQemuThatSeesOtherFoldersIsJudgedBySize() {
    assertThat(objection(shared(Path.of("/in/a/container/ram"), 64 * MIB))).isEmpty();
    assertThat(objection(shared(Path.of("/in/a/container/ram"), 32 * MIB))).isPresent();
  }

  @Test
  void memoryOfItsOwnIsRefusedWithWhatToChange() {
    assertThat(objection(new QemuMachine.Backend("pc.ram", Optional.empty(), 64 * MIB, false)))
        .hasValueSatisfying(
            said ->
                assertThat(said)
                    .contains("'pc.ram'", "memory-backend-file", "size=67108864", file.toString())
                    .contains("share=on"));
    assertThat(objection(new QemuMachine.Backend("mem", Optional.of(file), 64 * MIB, false)))
        .hasValueSatisfying(said -> assertThat(said).contains("it has no share=on"));
  }

  @Test
  void anotherSizeOrMoreMemoryThanDescribedIsRefused() throws Exception {
    assertThat(objection(shared(file, 32 * MIB)))
        .hasValueSatisfying(said -> assertThat(said).contains("32 MiB", "64 MiB"));
    Path more = Files.createFile(folder.resolve("more"));
    assertThat(objection(shared(file, 64 * MIB), shared(more, MIB)))
        .hasValueSatisfying(said -> assertThat(said).contains(more.toString()));
    assertThat(objection())
        .hasValueSatisfying(said -> assertThat(said).contains("0 memory backends"));
  }

  @Test
  void devicesThatWriteMemoryOnTheirOwnAreRefused() {
    assertThat(
            QemuFitness.objection(
                with(List.of(shared(file, 64 * MIB)), List.of("vfio-pci (gpu)")), described))
        .hasValueSatisfying(said -> assertThat(said).contains("vfio-pci (gpu)"));
  }

  @Test
  void aGuestWhoseStateQemuCannotSaveIsRefusedInItsWords() {
    QemuMachine blocked =
        new QemuMachine(
            "7.2.0",
            "pc-i440fx-7.2",
            List.of(shared(file, 64 * MIB)),
            List.of(),
            List.of(),
            List.of("a folder is mounted", "so is another"),
            true);
    assertThat(QemuFitness.objection(blocked, described))
        .hasValueSatisfying(
            said -> assertThat(said).contains("cannot save", "a folder is mounted; so is another"));
  }

  @Test
  void aQemuThatCannotLeaveItsMemoryOutIsRefused() {
    QemuMachine old =
        new QemuMachine(
            "3.1.0",
            "pc-i440fx-3.1",
            List.of(shared(file, 64 * MIB)),
            List.of(),
            List.of(),
            List.of(),
            false);
    assertThat(QemuFitness.objection(old, described))
        .hasValueSatisfying(said -> assertThat(said).contains("3.1.0", "x-ignore-shared"));
  }
}
