package io.pageferry.protocol.channel;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * A peer could not be reached, or a channel to it ended other than by our own wish. The message is
 * one whole sentence for people, without a full stop, that names the peer as HOST:PORT.
 */
public final class PeerLostException extends IOException {
  private static final long serialVersionUID = 1L;

  /**
   * What happened, for code that must tell the cases apart (an exit code, whether trying again
   * makes sense).
   */
  public enum Kind {
    /** The host's name does not resolve. */
    HOST_UNKNOWN,
    /** No connection came about: refused, no route, or no answer in time. */
    UNREACHABLE,
    /** TLS did not come about: one side refused the other, or one of them does not speak TLS. */
    TLS_REFUSED,
    /** The peer closed the connection, or it was reset. */
    CLOSED,
    /** Nothing was heard from the peer for the silence limit. */
    SILENT,
    /** What the peer sent broke the protocol. */
    PROTOCOL,
    /** This side closed the channel. */
    CLOSED_HERE,
    /** Something failed on this side (the frame listener, the socket). */
    FAILED_HERE
  }

  private final Kind kind;

  public PeerLostException(Kind kind, String sentence) {
    super(sentence);
    this.kind = kind;
  }

  public PeerLostException(Kind kind, String sentence, @Nullable Throwable cause) {
    super(sentence, cause);
    this.kind = kind;
  }

  public Kind kind() {
    return kind;
  }

  /**
   * A copy with the stack of the calling thread; the recorded reason of a channel is thrown in more
   * than one place.
   */
  PeerLostException here() {
    return new PeerLostException(kind, String.valueOf(getMessage()), this);
  }
}
