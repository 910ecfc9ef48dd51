package io.pageferry.target;

import io.pageferry.protocol.message.AbortReason;
import org.jspecify.annotations.Nullable;

/**
 * This side gives a migration up. The message is one sentence that goes to the peer as it is, so it
 * says what happened and what to do, and nothing that the peer has no business knowing.
 */
public final class MigrationAborted extends Exception {
  private static final long serialVersionUID = 1L;

  private final AbortReason reason;

  public MigrationAborted(AbortReason reason, String sentence) {
    this(reason, sentence, null);
  }

  public MigrationAborted(AbortReason reason, String sentence, @Nullable Throwable cause) {
    super(sentence, cause);
    this.reason = reason;
  }

  public AbortReason reason() {
    return reason;
  }

  public String sentence() {
    return String.valueOf(getMessage());
  }
}
