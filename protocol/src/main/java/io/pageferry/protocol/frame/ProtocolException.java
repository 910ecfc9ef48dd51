package io.pageferry.protocol.frame;

import io.pageferry.protocol.message.AbortReason;
import java.io.IOException;

/**
 * The peer sent what the protocol forbids. The connection it came by is of no further use; {@link
 * #reason()} is what the peer is told before it is closed.
 */
public class ProtocolException extends IOException {
  private static final long serialVersionUID = 1L;

  private final AbortReason reason;

  public ProtocolException(AbortReason reason, String message) {
    super(message);
    this.reason = reason;
  }

  public ProtocolException(AbortReason reason, String message, Throwable cause) {
    super(message, cause);
    this.reason = reason;
  }

  /** A frame, message or page that version 1 does not allow. */
  public static ProtocolException violation(String message) {
    return new ProtocolException(AbortReason.PROTOCOL_VIOLATION, message);
  }

  /** What to tell the peer. */
  public AbortReason reason() {
    return reason;
  }
}
