package io.pageferry.protocol.conversation;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.RoundEnd;

/**
 * The source's view of one control channel and its data channels. The agent tells it of every
 * message: before it hands one to the channel, and before it acts on one that came. A {@link
 * ProtocolException} changes nothing: what is illegal to send is a defect of the agent, what is
 * illegal to receive one of the peer, and in both cases the migration ends.
 *
 * <p>Any thread; see {@link Conversation}.
 */
public final class SourceConversation extends Conversation {
  /** A conversation on a new control channel. */
  public SourceConversation() {
    super(false);
  }

  /** A message is about to go out on the control channel. */
  public void sent(Message message) throws ProtocolException {
    fromSource(message);
  }

  /** A message came on the control channel. */
  public void received(Message message) throws ProtocolException {
    fromTarget(message);
  }

  /**
   * A PAGES frame is about to go out on a data channel.
   *
   * @param channel the data channel's index
   */
  public void pagesSent(int channel, int round) throws ProtocolException {
    pages(channel, round);
  }

  /** A ROUND_END is about to go out on a data channel, behind the channel's last pages. */
  public void roundEndSent(int channel, RoundEnd end) throws ProtocolException {
    roundEnd(channel, end);
  }
}
