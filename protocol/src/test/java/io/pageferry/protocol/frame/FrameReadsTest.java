package io.pageferry.protocol.frame;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.channel.RecvByteBufAllocator;
import io.netty.channel.embedded.EmbeddedChannel;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.KeepAlive;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MessageCodec;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FrameReadsTest {
  private static final int LONG = 100_000;

  private final UnpooledByteBufAllocator counting = new UnpooledByteBufAllocator(true);
  private final FrameDecoder decoder = new FrameDecoder();
  private final EmbeddedChannel channel = new EmbeddedChannel(decoder);
  private final RecvByteBufAllocator.ExtendedHandle socket =
      (RecvByteBufAllocator.ExtendedHandle) decoder.reads().newHandle();

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void framesSurviveWhateverAReadBrings(long seed) throws ProtocolException {
    Random random = new Random(seed);
    int longest = random.nextBoolean() ? 30_000 : Integer.MAX_VALUE;
    List<Message> sent = new ArrayList<>();
    ByteBuf stream = PooledByteBufAllocator.DEFAULT.directBuffer();
    for (int i = 0; i < 60; i++) {
      Message message = random.nextInt(3) == 0 ? new KeepAlive(i) : state(random, i);
      sent.add(message);
      FrameDecoderTest.append(stream, message);
    }
    List<Message> received = new ArrayList<>();
    while (stream.isReadable()) {
      channel.writeInbound(read(stream, 1 + random.nextInt(longest)));
      for (Frame frame = channel.readInbound(); frame != null; frame = channel.readInbound()) {
        received.add(MessageCodec.decode(frame.type(), frame.payload()));
        frame.release();
      }
    }
    assertThat(received).isEqualTo(sent);
    assertThat(channel.finish()).isFalse();
    assertThat(counting.metric().usedDirectMemory()).isZero();
    stream.release();
  }

  @Test
  void theRestOfALongPayloadIsReadToWhereItStays() {
    ByteBuf stream = twoLongFrames();
    channel.writeInbound(read(stream, Integer.MAX_VALUE));
    ByteBuf rest = read(stream, Integer.MAX_VALUE);
    long address = rest.memoryAddress();
    channel.writeInbound(rest);
    Frame first = channel.readInbound();
    assertThat(address)
        .isBetween(
            first.payload().memoryAddress(),
            first.payload().memoryAddress() + first.payload().readableBytes());

    // The header of the second frame came with the first one, so all of its payload stays too.
    ByteBuf payload = read(stream, Integer.MAX_VALUE);
    long begin = payload.memoryAddress();
    channel.writeInbound(payload);
    Frame second = channel.readInbound();
    assertThat(second.payload().memoryAddress()).isEqualTo(begin);
    assertThat(second.payload().readableBytes()).isEqualTo(first.payload().readableBytes());
    first.release();
    second.release();
    channel.finish();
    assertThat(counting.metric().usedDirectMemory()).isZero();
    stream.release();
  }

  @Test
  void damageInWhatWasReadThereIsFound() {
    ByteBuf stream = twoLongFrames();
    int last = stream.writerIndex() / 2 - 1;
    stream.setByte(last, stream.getByte(last) ^ 1);
    channel.writeInbound(read(stream, Integer.MAX_VALUE));
    ByteBuf rest = read(stream, Integer.MAX_VALUE);
    assertThatThrownBy(() -> channel.writeInbound(rest))
        .isInstanceOfSatisfying(
            ProtocolException.class,
            e -> assertThat(e.reason()).isEqualTo(AbortReason.CORRUPT_FRAME));
    assertThat(channel.writeInbound(read(stream, Integer.MAX_VALUE))).isFalse();
    channel.finish();
    assertThat(counting.metric().usedDirectMemory()).isZero();
    stream.release();
  }

  @Test
  void aConnectionThatEndsMeanwhileLeavesNothingBehind() {
    ByteBuf stream = twoLongFrames();
    channel.writeInbound(read(stream, Integer.MAX_VALUE));
    ByteBuf rest = read(stream, 1000);
    channel.finish();
    rest.release();
    assertThat(counting.metric().usedDirectMemory()).isZero();
    stream.release();
  }

  @Test
  void aReadThatBringsNothingChangesNothing() {
    ByteBuf stream = twoLongFrames();
    channel.writeInbound(read(stream, Integer.MAX_VALUE));
    socket.allocate(counting).release();
    channel.writeInbound(read(stream, Integer.MAX_VALUE));
    Frame first = channel.readInbound();
    first.release();
    channel.finish();
    assertThat(counting.metric().usedDirectMemory()).isZero();
    stream.release();
  }

  /** One read of the socket, which has no more than so many bytes at the moment. */
  private ByteBuf read(ByteBuf stream, int available) {
    ByteBuf read = socket.allocate(counting);
    int room = Math.min(read.writableBytes(), stream.readableBytes());
    return read.writeBytes(stream, Math.min(available, room));
  }

  private static ByteBuf twoLongFrames() {
    ByteBuf stream = PooledByteBufAllocator.DEFAULT.directBuffer();
    FrameDecoderTest.append(stream, new DeviceState(0, false, new byte[LONG]));
    FrameDecoderTest.append(stream, new DeviceState(LONG, true, new byte[LONG]));
    return stream;
  }

  private static DeviceState state(Random random, int offset) {
    byte[] bytes = new byte[1 + random.nextInt(random.nextBoolean() ? 500 : LONG)];
    random.nextBytes(bytes);
    return new DeviceState(offset, false, bytes);
  }
}
