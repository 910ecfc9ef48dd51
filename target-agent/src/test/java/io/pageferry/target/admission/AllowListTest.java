package io.pageferry.target.admission;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AllowListTest {
  @Test
  void withoutAnEntryEveryAgentMaySendEveryGuest() {
    assertThat(AllowList.everyone().allows("anybody", "anything")).isTrue();
  }

  @Test
  void entriesAddUpAndStarsStandForAll() {
    AllowList list = AllowList.of(List.of("a=x,y", "a = z", "b=*", "*=common"));
    assertThat(list.allows("a", "x")).isTrue();
    assertThat(list.allows("a", "z")).isTrue();
    assertThat(list.allows("a", "other")).isFalse();
    assertThat(list.allows("b", "other")).isTrue();
    assertThat(list.allows("stranger", "common")).isTrue();
    assertThat(list.allows("stranger", "x")).isFalse();
    assertThat(list.allows("A", "x")).isFalse();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "a", "=x", "a=", "a=x,", "a=,x"})
  void whatIsNoEntryIsRefused(String entry) {
    assertThatThrownBy(() -> AllowList.of(List.of(entry)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("PEER=GUEST");
  }

  @Test
  void aFileIsReadAnewAndAllowsNothingWhenItIsGone(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("allow");
    Files.writeString(file, "# who may send what\n\na = x\n");
    AllowList list = AllowList.inFile(file);
    assertThat(list.allows("a", "x")).isTrue();
    Files.writeString(file, "b=x\n");
    assertThat(list.allows("a", "x")).isFalse();
    assertThat(list.allows("b", "x")).isTrue();
    Files.writeString(file, "");
    assertThat(list.allows("b", "x")).as("an empty list allows nothing").isFalse();
    Files.writeString(file, "b=x\nnonsense\n");
    assertThat(list.allows("b", "x")).isFalse();
    Files.delete(file);
    assertThat(list.allows("b", "x")).isFalse();
    assertThatThrownBy(() -> AllowList.inFile(file)).isInstanceOf(java.io.IOException.class);
  }
}
