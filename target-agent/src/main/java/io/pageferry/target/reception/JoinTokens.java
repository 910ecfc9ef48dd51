package io.pageferry.target.reception;

import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tickets by which data channels join a migration: 32 random bytes each, good once, for one
 * channel index, for the holder of the certificate that made the offer, for a few seconds.
 *
 * <p>Any thread; guarded by its own monitor.
 */
final class JoinTokens {
  static final int BYTES = 32;

  private static final SecureRandom RANDOM = new SecureRandom();

  private final PeerIdentity holder;
  private final long expiresAt;
  private final List<byte[]> issued = new ArrayList<>();

  /** Null where redeemed. */
  private final List<byte @Nullable []> open = new ArrayList<>();

  JoinTokens(int channels, PeerIdentity holder, Duration life) {
    this.holder = holder;
    this.expiresAt = System.nanoTime() + life.toNanos();
    for (int i = 0; i < channels; i++) {
      byte[] token = new byte[BYTES];
      RANDOM.nextBytes(token);
      issued.add(token);
      open.add(token);
    }
  }

  /** In the order of the channels. */
  List<byte[]> issued() {
    return List.copyOf(issued);
  }

  /**
   * Takes one in.
   *
   * @throws MigrationAborted BAD_TOKEN. One answer for every fault: it teaches a guesser nothing
   */
  synchronized void redeem(int index, byte[] token, PeerIdentity peer) throws MigrationAborted {
    boolean known = index >= 0 && index < open.size();
    byte[] expected = known ? open.get(index) : null;
    // Compared in constant time: how long the answer takes must not tell how much was right.
    boolean matches = expected != null && MessageDigest.isEqual(expected, token);
    if (!matches || !holder.sameCertificate(peer) || System.nanoTime() - expiresAt > 0) {
      throw refused();
    }
    open.set(index, null);
  }

  /** The one answer to every data channel that may not join. */
  static MigrationAborted refused() {
    return new MigrationAborted(
        AbortReason.BAD_TOKEN,
        "the token of this data channel is not one that is good here and now");
  }
}
