package io.pageferry.target.reception;

import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Message;
import io.pageferry.target.MigrationAborted;
import java.io.IOException;

/** What a reception's driver thread reacts to. */
sealed interface ReceptionEvent {
  /** What happens on one connection to the source, and means nothing once that is given up. */
  sealed interface OfLink extends ReceptionEvent {}

  /**
   * A message of the source on the control channel.
   *
   * @param nanos {@link System#nanoTime} when it was taken from the channel
   */
  record FromSource(Message message, long nanos) implements OfLink {}

  /** The control channel ended; nothing more comes from it. */
  record ControlLost(Exception cause) implements OfLink {}

  /** Every data channel has delivered its end of the round, and every page is written. */
  record RoundDelivered(int round, long pages) implements OfLink {}

  /** A data channel broke the protocol, or its pages could not be written. */
  record DataFailed(MigrationAborted cause) implements OfLink {}

  /** A data channel ended; if the source gave up, it says so on the control channel. */
  record DataLost(MigrationAborted cause) implements OfLink {}

  /** Every channel that was granted has joined. */
  record ChannelsComplete() implements OfLink {}

  /**
   * The guest's process ended although nobody told it to.
   *
   * @param sentence says so
   */
  record GuestEnded(String sentence) implements ReceptionEvent {}

  /** The guest's page faults can no longer be served. */
  record FaultsFailed(IOException cause) implements ReceptionEvent {}

  /**
   * The source is back on a new connection, to bring what is missing.
   *
   * @param conversation the state of that channel, the RESUME included
   */
  record ResumeAsked(
      PeerChannel control, TargetConversation conversation, Capabilities capabilities)
      implements ReceptionEvent {}

  /** The source asks, on another connection, to have its guest back. */
  record ReclaimAsked() implements ReceptionEvent {}

  /** The agent is being stopped. */
  record StopAsked() implements ReceptionEvent {}

  /** The user of this host wants this migration to end. */
  record CancelAsked() implements ReceptionEvent {}
}
