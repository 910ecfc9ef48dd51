package io.pageferry.target.reception;

import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.message.Capabilities;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One connection to the source: the control channel, the conversation on it, and the channels that
 * pages come by. A migration has one after the other; what the last one still reports when the next
 * is there is not heard any more.
 *
 * <p>Driver thread only, except {@link #channels}.
 */
final class SourceLink implements AutoCloseable {
  private final PeerChannel control;
  private final TargetConversation conversation;
  private final Capabilities capabilities;
  private final LinkEvents events;
  private final SourceLine line;
  private volatile @Nullable PageChannels channels;

  /**
   * @param control closed with this link
   * @param conversation the state of that channel
   * @param capabilities what both sides can do
   */
  SourceLink(
      PeerChannel control,
      TargetConversation conversation,
      Capabilities capabilities,
      ReceptionInbox inbox) {
    this.control = control;
    this.conversation = conversation;
    this.capabilities = capabilities;
    this.events = new LinkEvents(inbox);
    this.line = new SourceLine(control, conversation, inbox, events);
  }

  /** The state of the control channel; any thread. */
  TargetConversation conversation() {
    return conversation;
  }

  PeerChannel control() {
    return control;
  }

  SourceLine line() {
    return line;
  }

  Capabilities capabilities() {
    return capabilities;
  }

  /**
   * Lets data channels join, and a fault channel if the guest's faults may have to be served.
   *
   * @param granted how many data channels
   */
  PageChannels openChannels(
      int granted, boolean faults, LandingPlace place, ReceptionLimits limits, LandedPages landed) {
    PageChannels opened =
        new PageChannels(
            granted,
            faults,
            place,
            capabilities,
            conversation,
            control.peer(),
            limits.joinLimit(),
            events,
            landed);
    channels = opened;
    return opened;
  }

  /** Null as long as none may join. Any thread. */
  @Nullable PageChannels channels() {
    return channels;
  }

  /** After {@link #openChannels}. */
  PageChannels openedChannels() {
    return Objects.requireNonNull(channels);
  }

  /** Ends the channels that pages come by; nothing lands when this returns. */
  void closeChannels() {
    PageChannels opened = channels;
    if (opened != null) {
      opened.close();
    }
  }

  /** Ends it without waiting for a peer that may not be there; nothing lands when this returns. */
  void letGo() {
    stop();
    Thread.ofVirtual().start(control::close);
  }

  /** Lets what was said go out, then ends it. */
  @Override
  public void close() {
    stop();
    control.close();
  }

  private void stop() {
    events.close();
    line.stop();
    closeChannels();
  }
}
