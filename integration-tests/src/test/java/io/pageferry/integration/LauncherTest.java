package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.integration.process.JavaCommand;
import io.pageferry.integration.process.Program;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Programs that the harness starts directly run as those that a user starts by the launcher. */
final class LauncherTest {
  private static final String LIB = System.getProperty("pageferry.lib");

  @ParameterizedTest
  @EnumSource(Program.class)
  void knowsTheMainClassAndTheJvmOptionsThatAreUsedHere(Program program) throws Exception {
    String launcher = Files.readString(Path.of("..", "pageferry"));
    assertThat(launcher).contains(program.word() + ") echo " + program.mainClass() + " ;;");
    List<String> command = JavaCommand.of(program, List.of());
    List<String> options = command.subList(1, command.indexOf("-cp"));
    assertThat(options)
        .filteredOn(
            option ->
                !option.startsWith("-XX:AOTCache")
                    && !option.startsWith("-Dpageferry.caches")
                    && !option.startsWith("-Dpageferry.passedOn"))
        .allSatisfy(option -> assertThat(launcher).contains(option.replace(LIB, "\"$lib")));
  }
}
