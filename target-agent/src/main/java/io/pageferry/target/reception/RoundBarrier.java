package io.pageferry.target.reception;

import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.RoundEnd;

/**
 * Where all data channels meet at the end of a round. A round has landed when every channel has
 * delivered its ROUND_END and all its pages are written; pages of the next round are let in only
 * after that was said to the source. So a page that is sent again on another channel never lands
 * before its older copy. The order itself is the conversation's to judge.
 *
 * <p>Called by the event loops of all data channels; guarded by its own monitor.
 */
final class RoundBarrier {
  private final TargetConversation conversation;
  private final LinkEvents events;
  private long pages;

  RoundBarrier(TargetConversation conversation, LinkEvents events) {
    this.conversation = conversation;
    this.events = events;
  }

  /** Refuses pages that do not belong to the present round. */
  void admit(int channel, int round) throws ProtocolException {
    conversation.pagesReceived(channel, round);
  }

  /** Refuses references that are not to be answered now; answers them. */
  Found answer(int channel, int round, byte[] findings) throws ProtocolException {
    conversation.referencesReceived(channel, round, findings.length);
    Found found = new Found(round, findings);
    conversation.foundSent(channel, found);
    return found;
  }

  /**
   * One channel has ended its round.
   *
   * @param landed the pages that this channel landed in it
   */
  synchronized void end(int channel, RoundEnd end, long landed) throws ProtocolException {
    conversation.roundEndReceived(channel, end);
    if (end.pages() != landed) {
      throw ProtocolException.violation(
          "data channel "
              + channel
              + " ends round "
              + end.round()
              + " with "
              + end.pages()
              + " pages, and "
              + landed
              + " came");
    }
    pages += landed;
    if (conversation.allChannelsEnded()) {
      events.put(new ReceptionEvent.RoundDelivered(end.round(), pages));
      pages = 0;
    }
  }
}
