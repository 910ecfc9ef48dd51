package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.agent.cli.ExitCode;
import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.message.AbortReason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class VerdictTest {
  private static ExitCode exit(Exception failure, boolean accepted) {
    return Verdict.of(failure, "a test", false, accepted).exit();
  }

  @ParameterizedTest
  @EnumSource(
      value = AbortReason.class,
      names = {"NO_MEMORY", "QUOTA", "IO_ERROR", "INTERNAL"})
  void whatTheTargetSaysIsARefusalUntilItHasAcceptedTheGuest(AbortReason reason) {
    PeerAbortedException said = new PeerAbortedException(reason, "no");
    assertThat(exit(said, false)).isEqualTo(ExitCode.REFUSED);
    assertThat(exit(said, true)).isEqualTo(ExitCode.FAILED);
  }

  @Test
  void aGuestThatWritesTooFastIsCalledOff() {
    assertThat(exit(new StalledException("too fast"), true)).isEqualTo(ExitCode.CANCELLED);
  }

  @Test
  void theEndOfTheGuestIsTheCauseOfTheRest() {
    Verdict verdict = Verdict.of(new InterruptedException(), "a test", true, true);
    assertThat(verdict.exit()).isEqualTo(ExitCode.FAILED);
    assertThat(verdict.reason()).isEqualTo(AbortReason.GUEST_ENDED);
  }
}
