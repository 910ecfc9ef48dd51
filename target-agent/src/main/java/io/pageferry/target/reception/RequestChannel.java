package io.pageferry.target.reception;

import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.PageRequest;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The fault channel as the guest's faults see it: pages are asked for there. Any thread; never
 * blocks.
 *
 * @param channel the fault channel
 * @param conversation of the connection it belongs to
 */
record RequestChannel(PeerChannel channel, TargetConversation conversation) {
  private static final Logger LOG = LoggerFactory.getLogger(RequestChannel.class);

  void ask(PageRequest request) {
    try {
      conversation.pageRequestSent(request);
    } catch (ProtocolException e) {
      // A connection that is over, or not yet that far: it is asked again on the next one.
      LOG.debug("not asked for: {}", e.getMessage());
      return;
    }
    channel.ask(request);
  }
}
