package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MessageCodec;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.message.PostcopyWish;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Started;
import io.pageferry.protocol.message.Switch;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.PageBatch;
import java.util.List;
import java.util.UUID;

/**
 * Goes through a conversation with nobody once, before it counts: the first time that this process
 * reads a COMMIT is otherwise in a guest's downtime, and loading the classes for it takes longer
 * than the rest of the take-over.
 */
final class Rehearsal {
  private static final int TIMES = 3;
  private static final byte[] TOKEN = new byte[Hello.TOKEN_BYTES];
  private static boolean done;

  private Rehearsal() {}

  /** Has an effect once in the life of the process. Any thread. */
  static synchronized void run() {
    if (done) {
      return;
    }
    done = true;
    try {
      for (int i = 0; i < TIMES; i++) {
        converse();
        conversePostCopy();
      }
    } catch (ProtocolException e) {
      throw new IllegalStateException("the rehearsal breaks the protocol", e);
    }
  }

  private static void converse() throws ProtocolException {
    TargetConversation conversation = offered(PostcopyWish.NO);
    conversation.sent(coded(new Accepted(List.of(TOKEN), 0)));
    conversation.received(coded(new RoundBegin(1, true, 0)));
    conversation.roundEndReceived(0, (RoundEnd) coded(new RoundEnd(1, 0)));
    conversation.sent(coded(new RoundLanded(1, 0)));
    conversation.received(coded(new DeviceState(0, true, new byte[1])));
    DigestValue digest = (DigestValue) coded(new DigestValue(0, 0, false));
    conversation.received(digest);
    // The first comparison of two records puts its own code together, for milliseconds.
    if (!new Digest(digest.high(), digest.low()).equals(new Digest(0, 0))) {
      throw new IllegalStateException("a digest differs from itself");
    }
    conversation.sent(coded(new Prepared(true, 0, 0)));
    conversation.received(coded(new Commit()));
    conversation.sent(coded(new Started(0, 0, 0, 0, 0)));
  }

  private static void conversePostCopy() throws ProtocolException {
    TargetConversation conversation = offered(PostcopyWish.IF_POSSIBLE);
    conversation.sent(coded(new Accepted(List.of(TOKEN), 0, TOKEN)));
    conversation.received(coded(new Missing(0, true, List.of(new PageSpan(0, 1)))));
    conversation.received(coded(new DeviceState(0, true, new byte[1])));
    conversation.received(coded(new Switch(1, 1)));
    PageRequest request = new PageRequest(0, new long[1]);
    conversation.pageRequestSent(request);
    coded(request);
    conversation.pagesReceived(conversation.faultChannel(), 1);
    conversation.sent(coded(new Prepared(true, 0, 0)));
    conversation.received(coded(new Commit()));
    conversation.sent(coded(new Started(0, 0, 0, 0, 0)));
    conversation.pagesReceived(0, 1);
  }

  private static TargetConversation offered(PostcopyWish wish) throws ProtocolException {
    UUID migration = new UUID(1, 1);
    Capabilities capabilities = Capabilities.CURRENT;
    Limits limits = Limits.CURRENT;
    TargetConversation conversation = new TargetConversation();
    conversation.received(
        coded(
            new Hello(
                VersionRange.CURRENT,
                ChannelRole.CONTROL,
                capabilities,
                limits,
                "rehearsal",
                Hello.NO_MIGRATION,
                new byte[0],
                0)));
    conversation.sent(coded(new Welcome(1, capabilities, limits, "rehearsal")));
    conversation.received(
        coded(
            new Offer(
                migration,
                "rehearsal",
                MigrationMode.PRECOPY,
                wish,
                List.of(new RegionOffer("ram", PageBatch.PAGE_BYTES)),
                1,
                false,
                0)));
    return conversation;
  }

  private static Message coded(Message message) throws ProtocolException {
    ByteBuf payload = Unpooled.buffer();
    try {
      MessageCodec.encode(message, payload);
      return MessageCodec.decode(message.type(), payload);
    } finally {
      payload.release();
    }
  }
}
