package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.guest.dirty.GuestGoneException;
import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.channel.PeerLostException;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.AbortReason;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.SocketTimeoutException;

/**
 * What a failure before the hand-over means: to the caller of the command, and to the target.
 *
 * @param exit with which the command ends if the guest could be put back
 * @param reason for the target
 * @param sentence what happened, without what became of the guest
 */
record Verdict(ExitCode exit, AbortReason reason, String sentence) {

  /**
   * @param wish who cancelled, for an interruption
   * @param guestGone whether the guest's process has ended, which then is the cause of the rest
   * @param accepted whether the target had accepted the guest; a no of the target before that is a
   *     refusal and none after it is, whatever its reason
   */
  static Verdict of(Exception failure, String wish, boolean guestGone, boolean accepted) {
    if (guestGone) {
      return new Verdict(
          ExitCode.FAILED, AbortReason.GUEST_ENDED, "the guest ended during the migration");
    }
    String sentence = sentence(failure);
    return switch (failure) {
      case InterruptedException _ -> cancelled(wish);
      // Which a timeout of a socket is as well, by inheritance.
      case InterruptedIOException e when !(e instanceof SocketTimeoutException) -> cancelled(wish);
      case StalledException _ -> new Verdict(ExitCode.CANCELLED, AbortReason.STALLED, sentence);
      case CommandFailure e -> new Verdict(e.exit(), AbortReason.CANNOT_TRACK, sentence);
      case PeerAbortedException e ->
          accepted
              ? new Verdict(ExitCode.FAILED, e.reason(), "the target gave up: " + sentence)
              : new Verdict(ExitCode.REFUSED, e.reason(), "the target refused: " + sentence);
      case PeerLostException e when e.kind() == PeerLostException.Kind.TLS_REFUSED ->
          new Verdict(ExitCode.REFUSED, AbortReason.NOT_AUTHORISED, sentence);
      case ProtocolException e ->
          new Verdict(
              e.reason() == AbortReason.VERSION_MISMATCH ? ExitCode.REFUSED : ExitCode.FAILED,
              e.reason(),
              sentence);
      case GuestGoneException _ -> new Verdict(ExitCode.FAILED, AbortReason.GUEST_ENDED, sentence);
      case IOException _ -> new Verdict(ExitCode.FAILED, AbortReason.IO_ERROR, sentence);
      default -> new Verdict(ExitCode.FAILED, AbortReason.INTERNAL, "internal error: " + failure);
    };
  }

  private static Verdict cancelled(String wish) {
    return new Verdict(
        ExitCode.CANCELLED,
        AbortReason.CANCELLED,
        "the migration was cancelled by %s".formatted(wish));
  }

  private static String sentence(Exception failure) {
    String message = failure.getMessage();
    return message == null ? failure.toString() : message;
  }
}
