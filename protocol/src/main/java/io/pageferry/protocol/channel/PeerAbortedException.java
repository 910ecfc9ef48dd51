package io.pageferry.protocol.channel;

import io.pageferry.protocol.message.AbortReason;
import java.io.IOException;

/** The peer gave the migration up with an ABORT message. The message is the peer's sentence. */
public final class PeerAbortedException extends IOException {
  private static final long serialVersionUID = 1L;

  private final AbortReason reason;

  public PeerAbortedException(AbortReason reason, String text) {
    super(text);
    this.reason = reason;
  }

  public AbortReason reason() {
    return reason;
  }

  /**
   * The peer's sentence: at most 512 bytes, chosen by the peer, so not to be trusted as markup or a
   * path.
   */
  public String text() {
    return String.valueOf(getMessage());
  }
}
