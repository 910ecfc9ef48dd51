package io.pageferry.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class StateOptionsTest {
  @Test
  void aShownCommandNamesTheDirectoryUnlessItIsTheDefault() {
    assertThat(StateOptions.argument(new StateOptions().directory())).isEmpty();
    assertThat(StateOptions.argument(Path.of("/tmp/a-b"))).isEqualTo(" --state /tmp/a-b");
    assertThat(StateOptions.argument(Path.of("/tmp/a $b"))).isEqualTo(" --state \"/tmp/a \\$b\"");
  }
}
