package io.pageferry.protocol.conversation;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.RoundEnd;
import java.util.List;

/**
 * The source's view of one control channel and the data and fault channels beside it. The agent
 * tells it of every message: before it hands one to the channel, and before it acts on one that
 * came. A {@link ProtocolException} changes nothing: what is illegal to send is a defect of the
 * agent, what is illegal to receive one of the peer, and in both cases the migration ends.
 *
 * <p>Any thread; see {@link Conversation}.
 */
public final class SourceConversation extends Conversation {
  /** So many batches of references may wait for their answers on one data channel. */
  public static final int MAX_UNANSWERED_REFERENCES = MAX_UNANSWERED;

  /** A conversation on a new control channel. */
  public SourceConversation() {
    super(false);
  }

  /**
   * The guest's memory, for a control channel on which post-copy is about to be resumed: nothing on
   * it tells, but what the target says of missing pages is checked against it.
   *
   * @param layout as it was offered
   */
  public void layout(List<RegionOffer> layout) {
    regions(layout);
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
   * A PAGES frame is about to go out on a data channel or the fault channel.
   *
   * @param channel the data channel's index, or {@link #faultChannel}
   */
  public void pagesSent(int channel, int round) throws ProtocolException {
    pages(channel, round);
  }

  /**
   * A PAGES frame of references is about to go out on a data channel.
   *
   * @param pages to which it refers
   */
  public void referencesSent(int channel, int round, int pages) throws ProtocolException {
    references(channel, round, pages);
  }

  /** A FOUND came on a data channel. */
  public void foundReceived(int channel, Found found) throws ProtocolException {
    found(channel, found);
  }

  /**
   * A ROUND_END is about to go out, behind the channel's last pages.
   *
   * @param channel the data channel's index, or {@link #faultChannel}
   */
  public void roundEndSent(int channel, RoundEnd end) throws ProtocolException {
    roundEnd(channel, end);
  }

  /**
   * A PAGE_REQUEST came on the fault channel. It may ask for pages that have gone out already; such
   * a request is legal until the connection ends, also behind SETTLED, which travels on another.
   */
  public void pageRequestReceived(PageRequest request) throws ProtocolException {
    pageRequest(request);
  }
}
