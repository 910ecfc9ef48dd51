package io.pageferry.target.admission;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GuestFolderTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        ".",
        "..",
        "../alpha",
        "a/b",
        "/etc/passwd",
        ".hidden",
        "a\0b",
        "a b",
        "a\n",
        "ä",
        "12345678901234567890123456789012345678901234567890123456789012345"
      })
  void whatIsNotPlainlyANameNeverReachesTheFileSystem(String name) throws Exception {
    Files.writeString(folder.resolve("alpha.yaml"), "");
    Path below = Files.createDirectory(folder.resolve("below"));
    assertThatThrownBy(() -> new GuestFolder(below).describe(name))
        .isInstanceOfSatisfying(
            MigrationAborted.class,
            refusal -> {
              assertThat(refusal.reason()).isEqualTo(AbortReason.GUEST_UNKNOWN);
              assertThat(refusal.sentence()).startsWith("the guest's name has");
            });
  }

  @Test
  void aDescriptionIsFoundByItsName() throws Exception {
    Files.writeString(
        folder.resolve("web-1.prod.yaml"),
        """
        name: web-1.prod
        memory:
          - { name: ram, path: /dev/shm/x }
        control: { qmp: /tmp/x }
        """);
    assertThat(new GuestFolder(folder).describe("web-1.prod").name()).isEqualTo("web-1.prod");
  }
}
