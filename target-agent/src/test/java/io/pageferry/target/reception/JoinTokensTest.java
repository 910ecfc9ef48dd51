package io.pageferry.target.reception;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class JoinTokensTest {
  private static final PeerIdentity HOLDER = peer("alpha", 1);

  private static PeerIdentity peer(String name, int certificate) {
    return new PeerIdentity(
        name,
        new byte[] {(byte) certificate},
        "TLSv1.3",
        "X25519MLKEM768",
        new InetSocketAddress(InetAddress.getLoopbackAddress(), 1));
  }

  private static void assertRefused(JoinTokens tokens, int index, byte[] token, PeerIdentity peer) {
    assertThatThrownBy(() -> tokens.redeem(index, token, peer))
        .isInstanceOfSatisfying(
            MigrationAborted.class,
            refusal -> assertThat(refusal.reason()).isEqualTo(AbortReason.BAD_TOKEN));
  }

  @Test
  void aTokenIsGoodOnceForItsChannelAndItsHolder() throws Exception {
    JoinTokens tokens = new JoinTokens(2, HOLDER, Duration.ofMinutes(1));
    byte[] first = tokens.issued().get(0);
    byte[] second = tokens.issued().get(1);
    assertRefused(tokens, 0, first, peer("beta", 1));
    assertRefused(tokens, 0, first, peer("alpha", 2));
    assertRefused(tokens, 1, first, HOLDER);
    assertRefused(tokens, -1, first, HOLDER);
    assertRefused(tokens, 2, first, HOLDER);
    assertRefused(tokens, 0, new byte[0], HOLDER);
    // Refusals use nothing up.
    tokens.redeem(0, first, HOLDER);
    assertRefused(tokens, 0, first, HOLDER);
    assertThatCode(() -> tokens.redeem(1, second, HOLDER)).doesNotThrowAnyException();
  }

  @Test
  void aTokenExpires() {
    JoinTokens tokens = new JoinTokens(1, HOLDER, Duration.ZERO);
    assertRefused(tokens, 0, tokens.issued().getFirst(), HOLDER);
  }

  @Test
  void tokensAreLongAndDiffer() {
    Set<String> seen = new HashSet<>();
    for (byte[] token : new JoinTokens(16, HOLDER, Duration.ofMinutes(1)).issued()) {
      assertThat(token).hasSize(32);
      seen.add(java.util.HexFormat.of().formatHex(token));
    }
    assertThat(seen).hasSize(16);
  }
}
