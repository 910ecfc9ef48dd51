package io.pageferry.protocol.rehearsal;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.pageferry.protocol.conversation.SourceConversation;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.DirtySummary;
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
import io.pageferry.protocol.page.PageRehearsal;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Has both sides of a conversation talk to each other within this process, again and again, before
 * it counts: the first time that an agent says or hears most of the messages of a switchover is
 * otherwise while the guest stands still, and loading and interpreting the code for them takes
 * longer than all the rest of it.
 *
 * <p>Begun while the agents are still talking about the offer; on a thread of its own.
 */
public final class ConversationRehearsal {
  /** The virtual machine compiles what has run 200 times. */
  private static final int TIMES = 220;

  private static final byte[] TOKEN = new byte[Hello.TOKEN_BYTES];
  private static final AtomicBoolean BEGUN = new AtomicBoolean();

  private final SourceConversation source = new SourceConversation();
  private final TargetConversation target = new TargetConversation();
  private final ByteBuf payload;

  private ConversationRehearsal(ByteBuf payload) {
    this.payload = payload;
  }

  /** Has an effect once in the life of the process. Any thread; returns at once. */
  public static void begin() {
    if (PageRehearsal.wanted() && BEGUN.compareAndSet(false, true)) {
      Thread.ofPlatform()
          .daemon()
          .name("conversation-rehearsal")
          .start(() -> ConversationRehearsal.run(TIMES));
    }
  }

  static void run(int times) {
    ByteBuf payload = PooledByteBufAllocator.DEFAULT.buffer();
    try {
      for (int i = 0; i < times; i++) {
        new ConversationRehearsal(payload).precopy();
        new ConversationRehearsal(payload).postcopy();
      }
    } catch (ProtocolException e) {
      throw new IllegalStateException("the rehearsal breaks the protocol", e);
    } finally {
      payload.release();
    }
  }

  private void precopy() throws ProtocolException {
    offer(PostcopyWish.NO);
    fromTarget(new Accepted(List.of(TOKEN), 0));
    fromSource(new RoundBegin(1, true, 1));
    fromSource(new DirtySummary(1, 0, 1, List.of(new PageSpan(0, 1))));
    source.pagesSent(0, 1);
    target.pagesReceived(0, 1);
    RoundEnd end = new RoundEnd(1, 1);
    source.roundEndSent(0, end);
    target.roundEndReceived(0, (RoundEnd) coded(end));
    fromTarget(new RoundLanded(1, 1));
    fromSource(new DeviceState(0, true, new byte[1]));
    DigestValue digest = new DigestValue(1, 2, false);
    fromSource(digest);
    if (!new Digest(digest.high(), digest.low()).equals(new Digest(1, 2))) {
      throw new IllegalStateException("a digest differs from itself");
    }
    handOver();
  }

  private void postcopy() throws ProtocolException {
    offer(PostcopyWish.IF_POSSIBLE);
    fromTarget(new Accepted(List.of(TOKEN), 0, TOKEN));
    fromSource(new Missing(0, true, List.of(new PageSpan(0, 1))));
    fromSource(new DeviceState(0, true, new byte[1]));
    fromSource(new Switch(1, 1));
    PageRequest request = new PageRequest(0, new long[1]);
    target.pageRequestSent(request);
    source.pageRequestReceived((PageRequest) coded(request));
    source.pagesSent(source.faultChannel(), 1);
    target.pagesReceived(target.faultChannel(), 1);
    handOver();
  }

  private void offer(PostcopyWish wish) throws ProtocolException {
    Capabilities capabilities = Capabilities.CURRENT;
    Limits limits = Limits.CURRENT;
    fromSource(
        new Hello(
            VersionRange.CURRENT,
            ChannelRole.CONTROL,
            capabilities,
            limits,
            "rehearsal",
            Hello.NO_MIGRATION,
            new byte[0],
            0));
    fromTarget(new Welcome(1, capabilities, limits, "rehearsal"));
    fromSource(
        new Offer(
            new UUID(1, 1),
            "rehearsal",
            MigrationMode.PRECOPY,
            wish,
            List.of(new RegionOffer("ram", PageBatch.PAGE_BYTES)),
            1,
            false,
            0,
            List.of()));
  }

  private void handOver() throws ProtocolException {
    fromTarget(new Prepared(true, 1, 2));
    fromSource(new Commit());
    fromTarget(new Started(0, 0, 0, 0, 0));
  }

  private void fromSource(Message message) throws ProtocolException {
    source.sent(message);
    target.received(coded(message));
  }

  private void fromTarget(Message message) throws ProtocolException {
    target.sent(message);
    source.received(coded(message));
  }

  private Message coded(Message message) throws ProtocolException {
    MessageCodec.encode(message, payload.clear());
    return MessageCodec.decode(message.type(), payload);
  }
}
