package io.pageferry.target.reception;

import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Message;
import io.pageferry.target.MigrationAborted;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The driver's end of the control channel: every message in both directions goes through the
 * conversation's state machine, and whatever ends a migration early surfaces here as an exception,
 * so that the phases read as if all went well. Used by the driver thread only.
 */
final class SourceLine {
  /** How often limits are looked at while nothing happens. */
  static final Duration LOOK = Duration.ofMillis(250);

  private static final Duration LAST_WORD = Duration.ofMillis(250);

  private final PeerChannel control;
  private final TargetConversation conversation;
  private final ReceptionInbox inbox;
  private final ControlPump pump;

  SourceLine(
      PeerChannel control,
      TargetConversation conversation,
      ReceptionInbox inbox,
      LinkEvents events) {
    this.control = control;
    this.conversation = conversation;
    this.inbox = inbox;
    this.pump = new ControlPump(control, events);
  }

  /** From here on messages are taken from the channel. */
  void open() {
    Thread.ofVirtual().name("control-pump").start(pump);
  }

  /** Nothing more is taken from the channel. */
  void stop() {
    pump.stop();
  }

  void send(Message message) {
    try {
      conversation.sent(message);
    } catch (ProtocolException e) {
      throw new IllegalStateException("this side broke the protocol: " + e.getMessage(), e);
    }
    control.send(message);
  }

  /**
   * What happens next, as long as whatever goes wrong ends the migration.
   *
   * @return a message, or something that happened to the channels; null when nothing did in time
   * @throws MigrationAborted when something on this side, or the source's breach, ends the
   *     migration
   * @throws SourceLost when the control channel ended
   */
  @Nullable ReceptionEvent next(Duration limit)
      throws MigrationAborted, SourceLost, InterruptedException {
    ReceptionEvent event = take(limit);
    if (event instanceof ReceptionEvent.DataLost lost) {
      throw explained(lost.cause());
    }
    return judged(event);
  }

  /**
   * As {@link #next}, for a side that waits for the source's word and for no pages: that a channel
   * is lost by which they come is returned, and decides nothing.
   */
  @Nullable ReceptionEvent nextWord(Duration limit)
      throws MigrationAborted, SourceLost, InterruptedException {
    return judged(take(limit));
  }

  private static @Nullable ReceptionEvent judged(@Nullable ReceptionEvent event)
      throws MigrationAborted, SourceLost {
    return switch (event) {
      case null -> null;
      case ReceptionEvent.FromSource message -> event;
      case ReceptionEvent.RoundDelivered delivered -> event;
      case ReceptionEvent.ChannelsComplete complete -> event;
      case ReceptionEvent.ControlLost lost -> throw new SourceLost(lost.cause());
      case ReceptionEvent.DataFailed failed -> throw failed.cause();
      case ReceptionEvent.DataLost lost -> event;
      case ReceptionEvent.GuestEnded ended ->
          throw new MigrationAborted(AbortReason.GUEST_ENDED, ended.sentence());
      case ReceptionEvent.FaultsFailed failed ->
          throw new MigrationAborted(
              AbortReason.IO_ERROR,
              "the guest's page faults cannot be served on the target: "
                  + failed.cause().getMessage(),
              failed.cause());
      case ReceptionEvent.ReclaimAsked asked ->
          throw new MigrationAborted(AbortReason.CANCELLED, "the source took its guest back");
      case ReceptionEvent.StopAsked asked ->
          throw new MigrationAborted(
              AbortReason.SHUTTING_DOWN, "the target agent is being stopped");
      case ReceptionEvent.CancelAsked asked ->
          throw new MigrationAborted(
              AbortReason.CANCELLED, "the migration was cancelled on the target");
      case ReceptionEvent.ResumeAsked asked ->
          throw new IllegalStateException("resumed before the guest was taken over");
    };
  }

  /**
   * What happens next, whatever it means.
   *
   * @return null when nothing happened in time
   * @throws MigrationAborted when the source broke the protocol
   */
  @Nullable ReceptionEvent take(Duration limit) throws MigrationAborted, InterruptedException {
    ReceptionEvent event = inbox.take(limit);
    if (event instanceof ReceptionEvent.FromSource message) {
      pump.taken();
      accept(message.message());
    }
    return event;
  }

  /** A source that gives up closes all its channels; its word may come a moment after the first. */
  private MigrationAborted explained(MigrationAborted dataLost)
      throws SourceLost, InterruptedException {
    long deadline = System.nanoTime() + LAST_WORD.toNanos();
    for (long left = LAST_WORD.toNanos(); left > 0; left = deadline - System.nanoTime()) {
      switch (inbox.take(Duration.ofNanos(left))) {
        case ReceptionEvent.ControlLost lost -> throw new SourceLost(lost.cause());
        case ReceptionEvent.FromSource ignored -> pump.taken();
        case null, default -> {}
      }
    }
    return dataLost;
  }

  private void accept(Message message) throws MigrationAborted {
    try {
      conversation.received(message);
    } catch (ProtocolException e) {
      throw new MigrationAborted(e.reason(), String.valueOf(e.getMessage()), e);
    }
  }

  /** What a message that the conversation allows, but not this phase, is answered with. */
  static MigrationAborted unexpected(Message message) {
    return new MigrationAborted(
        AbortReason.PROTOCOL_VIOLATION, message.type() + " does not belong here");
  }
}
