package io.pageferry.protocol.conversation;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.RoundEnd;

/**
 * The target's view of one control channel and the data and fault channels beside it. The agent
 * tells it of every message: before it acts on one that came, and before it hands one to the
 * channel. A {@link ProtocolException} changes nothing: what is illegal to receive is the peer's
 * defect, what is illegal to send one of the agent, and in both cases the migration ends.
 *
 * <p>Connections do not wait for one another. Pages and ROUND_END of the next round may therefore
 * come on a data channel before its ROUND_BEGIN came on the control channel, but never before
 * ROUND_LANDED of the round before went out.
 *
 * <p>Any thread; see {@link Conversation}.
 */
public final class TargetConversation extends Conversation {
  /** A conversation on a new control channel. */
  public TargetConversation() {
    super(true);
  }

  /** A message is about to go out on the control channel. */
  public void sent(Message message) throws ProtocolException {
    fromTarget(message);
  }

  /** A message came on the control channel. */
  public void received(Message message) throws ProtocolException {
    fromSource(message);
  }

  /**
   * A PAGES frame came on a data channel or the fault channel.
   *
   * @param channel the data channel's index, or {@link #faultChannel}
   */
  public void pagesReceived(int channel, int round) throws ProtocolException {
    pages(channel, round);
  }

  /**
   * A PAGES frame of references came on a data channel.
   *
   * @param pages to which it refers
   */
  public void referencesReceived(int channel, int round, int pages) throws ProtocolException {
    references(channel, round, pages);
  }

  /** A FOUND is about to go out on a data channel. */
  public void foundSent(int channel, Found found) throws ProtocolException {
    found(channel, found);
  }

  /**
   * A ROUND_END came.
   *
   * @param channel the data channel's index, or {@link #faultChannel}
   */
  public void roundEndReceived(int channel, RoundEnd end) throws ProtocolException {
    roundEnd(channel, end);
  }

  /** A PAGE_REQUEST is about to go out on the fault channel. */
  public void pageRequestSent(PageRequest request) throws ProtocolException {
    pageRequest(request);
  }
}
