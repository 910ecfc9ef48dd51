package io.pageferry.protocol;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.Goodbye;
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
import io.pageferry.protocol.message.Recall;
import io.pageferry.protocol.message.Recalled;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.Resume;
import io.pageferry.protocol.message.Resumed;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.message.Started;
import io.pageferry.protocol.message.Switch;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import java.util.List;
import java.util.UUID;

/**
 * Whole conversations as bytes, for fuzzing to damage: for each message whether it is the target's,
 * the channel it travels on, its type, the length of its payload, its payload.
 */
final class ConversationScripts {
  /** In front of each payload. */
  static final int HEADER_BYTES = 5;

  private static final int FAULT = 1;
  private static final UUID MIGRATION = new UUID(1, 2);
  private static final byte[] TOKEN = new byte[Hello.TOKEN_BYTES];

  private final ByteBuf out = Unpooled.buffer();

  private ConversationScripts() {}

  /**
   * By pre-copy, also to a target that has something, or finds something; by pre-copy that ends in
   * post-copy; and a post-copy taken up again.
   */
  static List<byte[]> whole() {
    return List.of(precopy(), warm(), referring(), postcopy(), resumed());
  }

  private static byte[] precopy() {
    ConversationScripts script = new ConversationScripts().greet().offer();
    script.source(new RoundBegin(1, true, 3)).pages(0, 1).end(0, 1);
    script.target(new RoundLanded(1, 3)).source(new DeviceState(0, true, new byte[3]));
    script.source(new DigestValue(1, 2, false)).target(new Prepared(true, 1, 2));
    return script.start().source(new Goodbye()).bytes();
  }

  private static byte[] warm() {
    ConversationScripts script = new ConversationScripts().greet().offer();
    script.source(new Recall(new byte[Recall.SALT_BYTES]));
    script.target(new Recalled(0, false, 1, new byte[2 * Recalled.DIGEST_BYTES]));
    script.source(new RoundBegin(1, false, 3)).pages(0, 1);
    script.target(new Recalled(0, true, 5, new byte[Recalled.DIGEST_BYTES])).end(0, 1);
    script.target(new RoundLanded(1, 3));
    script.source(new RoundBegin(2, true, 3)).pages(0, 2).end(0, 2);
    script.target(new RoundLanded(2, 3)).source(new DeviceState(0, true, new byte[3]));
    script.source(new DigestValue(1, 2, false)).target(new Prepared(true, 1, 2));
    return script.start().source(new Goodbye()).bytes();
  }

  private static byte[] referring() {
    ConversationScripts script = new ConversationScripts().greet().offer();
    script.source(new RoundBegin(1, false, 3)).references(0, 1, 2).references(0, 1, 1);
    script.found(0, new Found(1, new byte[] {Found.HELD, Found.COMING}));
    script.found(0, new Found(1, new byte[] {Found.WANTED})).pages(0, 1).end(0, 1);
    script.target(new RoundLanded(1, 3));
    script.source(new RoundBegin(2, true, 3)).references(0, 2, 1);
    script.found(0, new Found(2, new byte[] {Found.HELD})).pages(0, 2).end(0, 2);
    script.target(new RoundLanded(2, 3)).source(new DeviceState(0, true, new byte[3]));
    script.source(new DigestValue(1, 2, false)).target(new Prepared(true, 1, 2));
    return script.start().source(new Goodbye()).bytes();
  }

  private static byte[] postcopy() {
    ConversationScripts script = new ConversationScripts().greet().offer();
    script.source(new RoundBegin(1, false, 3)).pages(0, 1).end(0, 1);
    script.target(new RoundLanded(1, 3));
    script.source(new Missing(0, false, List.of(new PageSpan(1, 2), new PageSpan(5, 1))));
    script.source(new Missing(0, true, List.of(new PageSpan(7, 1))));
    script.source(new DeviceState(0, true, new byte[3])).source(new Switch(2, 4));
    script.target(new PageRequest(0, new long[] {1, 2})).pages(FAULT, 2);
    return script.target(new Prepared(true, 0, 0)).start().fetch(2).bytes();
  }

  private static byte[] resumed() {
    ConversationScripts script = new ConversationScripts().greet();
    script.source(new Resume(MIGRATION));
    script.target(new Resumed(MIGRATION, 3, List.of(TOKEN), TOKEN));
    script.target(new Missing(0, true, List.of(new PageSpan(1, 2))));
    return script.fetch(3).bytes();
  }

  private ConversationScripts greet() {
    source(
        new Hello(
            VersionRange.CURRENT,
            ChannelRole.CONTROL,
            Capabilities.CURRENT,
            Limits.CURRENT,
            "fuzz",
            Hello.NO_MIGRATION,
            new byte[0],
            0));
    return target(new Welcome(1, Capabilities.CURRENT, Limits.CURRENT, "fuzz"));
  }

  private ConversationScripts offer() {
    source(
        new Offer(
            MIGRATION,
            "demo",
            MigrationMode.PRECOPY,
            PostcopyWish.IF_POSSIBLE,
            List.of(new RegionOffer("ram", 8 * 4096)),
            1,
            false,
            0,
            List.of("machine type q35")));
    return target(new Accepted(List.of(TOKEN), 0, TOKEN));
  }

  private ConversationScripts start() {
    return source(new Commit()).target(new Started(1, 2, 3, 4, 5));
  }

  private ConversationScripts fetch(int round) {
    target(new PageRequest(0, new long[] {5})).pages(FAULT, round).pages(0, round);
    end(0, round).end(FAULT, round).target(new RoundLanded(round, 6));
    source(new DigestValue(1, 2, false));
    target(new Settled(1, 2, Comparison.EQUAL, 1, 1, 1, 0, 0, 1, 2, 3, 0, 0));
    return source(new Goodbye());
  }

  private ConversationScripts source(Message message) {
    return put(false, 0, message);
  }

  private ConversationScripts target(Message message) {
    return put(true, 0, message);
  }

  private ConversationScripts end(int channel, int round) {
    return put(false, channel, new RoundEnd(round, 3));
  }

  private ConversationScripts pages(int channel, int round) {
    out.writeBoolean(false).writeByte(channel).writeByte(FrameType.PAGES.code());
    out.writeShortLE(Integer.BYTES).writeIntLE(round);
    return this;
  }

  /** As pages, and behind the round how many pages are referred to. */
  private ConversationScripts references(int channel, int round, int count) {
    out.writeBoolean(false).writeByte(channel).writeByte(FrameType.PAGES.code());
    out.writeShortLE(Integer.BYTES + 1).writeIntLE(round).writeByte(count);
    return this;
  }

  private ConversationScripts found(int channel, Found found) {
    return put(true, channel, found);
  }

  private ConversationScripts put(boolean own, int channel, Message message) {
    ByteBuf payload = Unpooled.buffer();
    MessageCodec.encode(message, payload);
    out.writeBoolean(own).writeByte(channel).writeByte(message.type().code());
    out.writeShortLE(payload.readableBytes()).writeBytes(payload);
    return this;
  }

  private byte[] bytes() {
    byte[] bytes = new byte[out.readableBytes()];
    out.readBytes(bytes);
    return bytes;
  }
}
