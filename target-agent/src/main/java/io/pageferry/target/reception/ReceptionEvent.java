package io.pageferry.target.reception;

import io.pageferry.protocol.message.Message;
import io.pageferry.target.MigrationAborted;

/** What a reception's driver thread reacts to. */
sealed interface ReceptionEvent {
  /**
   * A message of the source on the control channel.
   *
   * @param nanos {@link System#nanoTime} when it was taken from the channel
   */
  record FromSource(Message message, long nanos) implements ReceptionEvent {}

  /** The control channel ended; nothing more comes from it. */
  record ControlLost(Exception cause) implements ReceptionEvent {}

  /** Every data channel has delivered its end of the round, and every page is written. */
  record RoundDelivered(int round, long pages) implements ReceptionEvent {}

  /** A data channel broke the protocol, or its pages could not be written. */
  record DataFailed(MigrationAborted cause) implements ReceptionEvent {}

  /** A data channel ended; if the source gave up, it says so on the control channel. */
  record DataLost(MigrationAborted cause) implements ReceptionEvent {}

  /** The guest's process ended although nobody told it to. */
  record GuestEnded(String lastWords) implements ReceptionEvent {}

  /** The source asks, on another connection, to have its guest back. */
  record ReclaimAsked() implements ReceptionEvent {}

  /** The agent is being stopped. */
  record StopAsked() implements ReceptionEvent {}

  /** The user of this host wants this migration to end. */
  record CancelAsked() implements ReceptionEvent {}
}
