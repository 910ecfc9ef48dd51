package io.pageferry.target.reception;

import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.AbortReason;

/**
 * The control channel ended: the source gave up, broke the protocol, or nothing is heard of it any
 * more. The message says which, as the end of a sentence.
 */
final class SourceLost extends Exception {
  private static final long serialVersionUID = 1L;

  SourceLost(Exception cause) {
    super(
        cause instanceof PeerAbortedException aborted
            ? "the source gave up (" + aborted.reason() + "): " + aborted.text()
            : String.valueOf(cause.getMessage()),
        cause);
  }

  /** Whether the source said so itself. */
  boolean byItsOwnWord() {
    return getCause() instanceof PeerAbortedException;
  }

  /** Whether the source is there but broke the protocol, and is to be told. */
  boolean byViolation() {
    return getCause() instanceof ProtocolException;
  }

  AbortReason reason() {
    return switch (getCause()) {
      case PeerAbortedException aborted -> aborted.reason();
      case ProtocolException violation -> violation.reason();
      case null, default -> AbortReason.PEER_SILENT;
    };
  }
}
