package io.pageferry.protocol.frame;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.embedded.EmbeddedChannel;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.KeepAlive;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MessageCodec;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.PageSpan;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FrameDecoderTest {
  private static final PooledByteBufAllocator ALLOCATOR = PooledByteBufAllocator.DEFAULT;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  void framesSurviveAnySplitOfTheStream(long seed) throws ProtocolException {
    Random random = new Random(seed);
    List<Message> sent = new ArrayList<>();
    ByteBuf stream = ALLOCATOR.directBuffer();
    for (int i = 0; i < 200; i++) {
      Message message = someMessage(random, i);
      sent.add(message);
      append(stream, message);
    }
    EmbeddedChannel channel = new EmbeddedChannel(new FrameDecoder());
    List<ByteBuf> reads = new ArrayList<>();
    List<Message> received = new ArrayList<>();
    int longest = random.nextBoolean() ? 20 : 5000;
    while (stream.isReadable()) {
      int length = Math.min(stream.readableBytes(), 1 + random.nextInt(longest));
      ByteBuf read = ALLOCATOR.directBuffer(length).writeBytes(stream, length);
      reads.add(read);
      channel.writeInbound(read);
      drain(channel, received);
    }
    assertThat(received).isEqualTo(sent);
    assertThat(reads).allSatisfy(read -> assertThat(read.refCnt()).isZero());
    assertThat(channel.finish()).isFalse();
    stream.release();
  }

  @Test
  void aFrameWithinOneReadIsASliceOfIt() {
    ByteBuf read = ALLOCATOR.directBuffer();
    append(read, new KeepAlive(7));
    EmbeddedChannel channel = new EmbeddedChannel(new FrameDecoder());
    channel.writeInbound(read);
    Frame frame = channel.readInbound();
    read.setByte(FrameHeader.BYTES, 9);
    assertThat(frame.payload().getByte(0)).isEqualTo((byte) 9);
    assertThat(read.refCnt()).isEqualTo(1);
    frame.release();
    assertThat(read.refCnt()).isZero();
    channel.finish();
  }

  @Test
  void aHeaderSplitFromItsPayloadCopiesNothingElse() {
    ByteBuf stream = ALLOCATOR.directBuffer();
    append(stream, new KeepAlive(7));
    EmbeddedChannel channel = new EmbeddedChannel(new FrameDecoder());
    ByteBuf first = ALLOCATOR.directBuffer().writeBytes(stream, 10);
    ByteBuf second = ALLOCATOR.directBuffer().writeBytes(stream);
    channel.writeInbound(first);
    channel.writeInbound(second);
    assertThat(first.refCnt()).isZero();
    Frame frame = channel.readInbound();
    assertThat(second.refCnt()).isEqualTo(1);
    frame.release();
    assertThat(second.refCnt()).isZero();
    channel.finish();
    stream.release();
  }

  @Test
  void eachMutatedByteOfAFrameEndsTheStreamWithOneException() {
    ByteBuf good = ALLOCATOR.directBuffer();
    append(good, new Abort(AbortReason.BUSY, "not now"));
    for (int index = 0; index < good.writerIndex(); index++) {
      ByteBuf stream = good.copy();
      stream.setByte(index, stream.getByte(index) ^ (1 << (index % 8)));
      append(stream, new Goodbye());
      EmbeddedChannel channel = new EmbeddedChannel(new FrameDecoder());
      assertThatThrownBy(() -> channel.writeInbound(stream))
          .isInstanceOfSatisfying(
              ProtocolException.class,
              e -> assertThat(e.reason()).isEqualTo(AbortReason.CORRUPT_FRAME));
      assertThat(stream.refCnt()).isZero();
      // What comes behind damage is dropped, not searched for frames.
      ByteBuf more = ALLOCATOR.directBuffer();
      append(more, new Goodbye());
      assertThat(channel.writeInbound(more)).isFalse();
      assertThat(more.refCnt()).isZero();
      assertThat(channel.finish()).isFalse();
    }
    good.release();
  }

  @Test
  void nothingIsAllocatedForALengthThatIsNotAllowed() {
    ByteBuf header = ALLOCATOR.directBuffer(16).writeZero(16);
    FrameHeader.write(header, 0, FrameType.DEVICE_STATE, 1000, 0);
    EmbeddedChannel channel = new EmbeddedChannel(new FrameDecoder(999));
    long before = ALLOCATOR.metric().usedDirectMemory();
    assertThatThrownBy(() -> channel.writeInbound(header))
        .hasMessageContaining("1000 bytes is longer than the 999 allowed");
    assertThat(ALLOCATOR.metric().usedDirectMemory()).isEqualTo(before);
    channel.finish();
  }

  @Test
  void aFrameAtTheLimitPassesAndOneByteMoreDoesNot() {
    int limit = 8;
    EmbeddedChannel channel = new EmbeddedChannel(new FrameDecoder(limit));
    ByteBuf good = ALLOCATOR.directBuffer();
    append(good, new KeepAlive(1));
    assertThat(channel.writeInbound(good)).isTrue();
    channel.<Frame>readInbound().release();
    ByteBuf bad = ALLOCATOR.directBuffer();
    append(bad, new Abort(AbortReason.BUSY, "12345"));
    assertThatThrownBy(() -> channel.writeInbound(bad)).hasMessageContaining("9 bytes");
    channel.finish();
  }

  @Test
  void aConnectionThatEndsInAFrameLeavesNothingBehind() {
    UnpooledByteBufAllocator counting = new UnpooledByteBufAllocator(true);
    ByteBuf stream = ALLOCATOR.directBuffer();
    append(stream, new DeviceState(0, true, new byte[5000]));
    ByteBuf read = ALLOCATOR.directBuffer().writeBytes(stream, 3000);
    EmbeddedChannel channel = new EmbeddedChannel(new FrameDecoder());
    channel.config().setAllocator(counting);
    channel.writeInbound(read);
    assertThat(read.refCnt()).isZero();
    assertThat(counting.metric().usedDirectMemory()).isEqualTo(5016 + FrameHeader.BYTES);
    channel.finish();
    assertThat(counting.metric().usedDirectMemory()).isZero();
    stream.release();
  }

  @Test
  void withoutAutoReadHalfAFrameAsksForMore() {
    ByteBuf stream = ALLOCATOR.directBuffer();
    append(stream, new KeepAlive(1));
    Reads reads = new Reads();
    EmbeddedChannel channel = new EmbeddedChannel(reads, new FrameDecoder());
    channel.config().setAutoRead(false);
    int before = reads.count;
    channel.writeInbound(stream.readRetainedSlice(10));
    assertThat(reads.count).isEqualTo(before + 1);
    channel.writeInbound(stream.readRetainedSlice(stream.readableBytes()));
    assertThat(reads.count).isEqualTo(before + 1);
    channel.<Frame>readInbound().release();
    stream.release();
    channel.finish();
  }

  @Test
  void theEncoderFramesMessagesAndPassesFramesThrough() {
    EmbeddedChannel channel = new EmbeddedChannel(new FrameEncoder());
    ByteBuf ready = ALLOCATOR.directBuffer().writeByte(1);
    channel.writeOutbound(new Commit(), ready);
    ByteBuf commit = channel.readOutbound();
    assertThat(ByteBufUtil.hexDump(commit, 0, 8)).isEqualTo("000000000d000000");
    assertThat(channel.<ByteBuf>readOutbound()).isSameAs(ready);
    commit.release();
    ready.release();
    channel.finish();
  }

  static void append(ByteBuf stream, Message message) {
    ByteBuf frame = FrameEncoder.frame(message, ALLOCATOR);
    stream.writeBytes(frame);
    frame.release();
  }

  private static void drain(EmbeddedChannel channel, List<Message> received)
      throws ProtocolException {
    for (Frame frame = channel.readInbound(); frame != null; frame = channel.readInbound()) {
      received.add(MessageCodec.decode(frame.type(), frame.payload()));
      frame.release();
    }
  }

  private static Message someMessage(Random random, int i) {
    return switch (random.nextInt(6)) {
      case 0 -> new KeepAlive(i);
      case 1 -> new Commit();
      case 2 -> new Abort(AbortReason.INTERNAL, "x".repeat(random.nextInt(500)));
      case 3 -> {
        List<PageSpan> spans = new ArrayList<>();
        for (int span = random.nextInt(300); span > 0; span--) {
          spans.add(new PageSpan(1000L * spans.size(), 1 + random.nextInt(1000)));
        }
        yield new Missing(i, random.nextBoolean(), spans);
      }
      case 4 -> new PageRequest(i, random.longs(1 + random.nextInt(512), 0, 1L << 34).toArray());
      default -> {
        byte[] bytes = new byte[random.nextInt(3000)];
        random.nextBytes(bytes);
        yield new DeviceState(i, false, bytes);
      }
    };
  }

  /** Counts how often more is asked for. */
  private static final class Reads extends ChannelOutboundHandlerAdapter {
    private int count;

    @Override
    public void read(ChannelHandlerContext ctx) {
      count++;
      ctx.read();
    }
  }
}
