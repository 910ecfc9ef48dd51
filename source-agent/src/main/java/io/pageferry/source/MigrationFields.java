package io.pageferry.source;

import io.pageferry.agent.cli.AddressConverter;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.protocol.message.MigrationMode;
import java.net.InetSocketAddress;
import java.util.Map;

/**
 * What the ledger keeps of a migration from its beginning, so that another agent can take it up:
 * the guest and its images, how the target is reached again, {@code mode} and, once there was a
 * connection, {@code peerName}.
 */
final class MigrationFields {
  /** The mode, as the report spells it. */
  private static final String MODE = "mode";

  /** The certificate name of the agent that took part. */
  private static final String PEER_NAME = "peerName";

  private MigrationFields() {}

  /**
   * Of a migration that begins.
   *
   * @param target where it is to go
   * @param recovery how {@code source recover} reaches the target again
   */
  static LedgerFields begin(
      SourceGuest guest,
      MigrationSettings settings,
      InetSocketAddress target,
      Map<String, String> recovery) {
    LedgerFields fields =
        withMode(
                LedgerFields.of(guest.name(), AddressConverter.text(target))
                    .withDescription(settings.description().toAbsolutePath().toString())
                    .withImages(guest.imagePaths()),
                settings.mode())
            .with(DepartedImage.IDENTITY, guest.image().identity());
    if (guest.process().isPresent()) {
      fields = fields.withLaunched(guest.process().get());
    }
    for (Map.Entry<String, String> entry : recovery.entrySet()) {
      fields = fields.with(entry.getKey(), entry.getValue());
    }
    return fields;
  }

  static LedgerFields withMode(LedgerFields fields, MigrationMode mode) {
    return fields.with(MODE, MigrationJournal.name(mode));
  }

  /** How the migration was begun; a ledger that does not say so has at least come to post-copy. */
  static MigrationMode mode(LedgerFields fields) {
    String name = fields.more().get(MODE);
    for (MigrationMode mode : MigrationMode.values()) {
      if (MigrationJournal.name(mode).equals(name)) {
        return mode;
      }
    }
    return MigrationMode.POSTCOPY;
  }

  static LedgerFields withPeerName(LedgerFields fields, String name) {
    return fields.with(PEER_NAME, name);
  }

  /** Empty if there has been no connection yet. */
  static String peerName(LedgerFields fields) {
    return fields.more().getOrDefault(PEER_NAME, "");
  }
}
