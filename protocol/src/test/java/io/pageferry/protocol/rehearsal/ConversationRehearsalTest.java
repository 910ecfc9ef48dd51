package io.pageferry.protocol.rehearsal;

import static org.assertj.core.api.Assertions.assertThatCode;

import org.junit.jupiter.api.Test;

final class ConversationRehearsalTest {
  @Test
  void whatIsRehearsedIsWithinTheProtocol() {
    assertThatCode(() -> ConversationRehearsal.run(2)).doesNotThrowAnyException();
  }
}
