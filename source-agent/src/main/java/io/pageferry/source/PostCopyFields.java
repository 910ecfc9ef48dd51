package io.pageferry.source;

import io.pageferry.agent.ledger.LedgerFields;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What the ledger keeps of a post-copy, so that an agent that takes it up again goes on as the user
 * wanted it: {@code postcopy} (true), {@code push}, {@code bandwidth}, {@code compress}, {@code
 * recoverFor}.
 */
final class PostCopyFields {
  private static final String POSTCOPY = "postcopy";
  private static final String PUSH = "push";
  private static final String BANDWIDTH = "bandwidth";
  private static final String COMPRESS = "compress";
  private static final String RECOVER_FOR = "recoverFor";

  private PostCopyFields() {}

  static LedgerFields add(LedgerFields fields, MigrationSettings settings) {
    return fields
        .with(POSTCOPY, "true")
        .with(PUSH, settings.push().name().toLowerCase(Locale.ROOT))
        .with(BANDWIDTH, Long.toString(settings.bandwidth()))
        .with(COMPRESS, settings.compress().word())
        .with(RECOVER_FOR, Long.toString(settings.recoverFor().toMillis()));
  }

  /** Whether the guest was to run before its pages are there. */
  static boolean any(LedgerFields fields) {
    return fields.isSet(POSTCOPY);
  }

  /** How the rest is to be sent. */
  static PostCopy.Manner manner(LedgerFields fields) {
    Map<String, String> more = fields.more();
    PushMode push = PushMode.PREPAGING;
    for (PushMode each : PushMode.values()) {
      if (each.name().equalsIgnoreCase(more.get(PUSH))) {
        push = each;
      }
    }
    Compression compress = Compression.AUTO;
    for (Compression each : Compression.values()) {
      if (each.word().equals(more.get(COMPRESS))) {
        compress = each;
      }
    }
    return new PostCopy.Manner(push, new Pacer(number(more.get(BANDWIDTH))), compress);
  }

  /** How long a lost link is tried again; not shorter than {@code atLeast}. */
  static Duration recoverFor(LedgerFields fields, Duration atLeast) {
    Duration wanted = Duration.ofMillis(number(fields.more().get(RECOVER_FOR)));
    return wanted.compareTo(atLeast) > 0 ? wanted : atLeast;
  }

  private static long number(@Nullable String text) {
    try {
      return text == null ? 0 : Math.max(0, Long.parseLong(text));
    } catch (NumberFormatException e) {
      return 0;
    }
  }
}
