package io.pageferry.target;

import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.message.AbortReason;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;

/**
 * How many control connections each certificate has open that have not become a migration. Without
 * a bound one source that has gone wild would take the target's threads and files from all others.
 *
 * <p>Any thread; guarded by its own monitor.
 */
final class ControlPlaces {
  private static final int EACH = 64;

  private final Map<String, Integer> taken = new HashMap<>();

  /** A place that is held until it is closed. */
  final class Place implements AutoCloseable {
    private final String certificate;

    private Place(String certificate) {
      this.certificate = certificate;
    }

    String certificate() {
      return certificate;
    }

    @Override
    public void close() {
      free(certificate);
    }
  }

  /**
   * @throws MigrationAborted BUSY if this peer has as many as it may have
   */
  synchronized Place take(PeerIdentity peer) throws MigrationAborted {
    String certificate = HexFormat.of().formatHex(peer.certificateSha256());
    int now = taken.getOrDefault(certificate, 0);
    if (now >= EACH) {
      throw new MigrationAborted(
          AbortReason.BUSY, peer.name() + " has " + EACH + " control connections open already");
    }
    taken.put(certificate, now + 1);
    return new Place(certificate);
  }

  private synchronized void free(String certificate) {
    taken.computeIfPresent(certificate, (key, count) -> count > 1 ? count - 1 : null);
  }
}
