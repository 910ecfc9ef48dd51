package io.pageferry.protocol;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.channel.embedded.EmbeddedChannel;
import io.pageferry.protocol.conversation.Phase;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.frame.Crc32c;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.FrameDecoder;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MessageCodec;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.protocol.page.PageDecoder;
import io.pageferry.protocol.page.PageSink;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Hostile bytes for each decoder. The {@link FuzzTest}s replay their inputs in a normal test run
 * and search for new ones with {@code JAZZER_FUZZ=1}; the seeded walks beside them feed the same
 * properties with a bounded number of inputs in every run.
 */
class WireFuzzTest {
  private static final int WALKS = 20_000;
  private static final List<FrameType> TYPES = List.of(FrameType.values());
  private static final ImageLayout LAYOUT =
      new ImageLayout(
          List.of(new ImageLayout.Region("a", 64), new ImageLayout.Region("b", 1L << 33)));

  @FuzzTest
  void frames(byte[] data) {
    decodeFrames(data, 1 + data.length / 3);
  }

  @FuzzTest
  void messages(byte[] data) {
    if (data.length > 0) {
      decodeMessage(data[0], java.util.Arrays.copyOfRange(data, 1, data.length));
    }
  }

  @FuzzTest
  void pages(byte[] data) throws IOException {
    decodePages(data);
  }

  /** What stands behind the magic number of a zstd block, and of how many pages it is to be. */
  @FuzzTest
  void zstdBlocks(byte[] data) throws IOException {
    if (data.length > 0) {
      decodeZstd(data[0], java.util.Arrays.copyOfRange(data, 1, data.length));
    }
  }

  /** The digests of a batch of references: how many, in how many runs, and what they are. */
  @FuzzTest
  void references(byte[] data) throws IOException {
    if (data.length > 1) {
      decodeReferences(data[0], data[1], java.util.Arrays.copyOfRange(data, 2, data.length));
    }
  }

  @FuzzTest
  void conversations(byte[] data) throws ProtocolException {
    converse(data);
  }

  @Test
  void framesOfRandomAndDamagedStreams() {
    Random random = new Random(1);
    for (int walk = 0; walk < WALKS; walk++) {
      ByteBuf stream = Unpooled.buffer();
      for (int frame = random.nextInt(4); frame >= 0; frame--) {
        byte[] payload = structured(random, random.nextInt(40));
        int at = stream.writerIndex();
        stream.writeZero(FrameHeader.BYTES).writeBytes(payload);
        int crc = Crc32c.of(stream, at + FrameHeader.BYTES, payload.length);
        FrameType type = TYPES.get(random.nextInt(TYPES.size()));
        FrameHeader.write(stream, at, type, payload.length, crc);
      }
      if (random.nextBoolean()) {
        int at = random.nextInt(stream.writerIndex());
        stream.setByte(at, random.nextInt());
      }
      byte[] data = new byte[stream.readableBytes()];
      stream.readBytes(data);
      decodeFrames(data, 1 + random.nextInt(50));
    }
  }

  @Test
  void messagesOfRandomBytes() {
    Random random = new Random(2);
    for (int walk = 0; walk < WALKS; walk++) {
      decodeMessage(
          random.nextInt(1, FrameType.values().length + 1),
          structured(random, random.nextInt(100)));
    }
  }

  @Test
  void conversationsOfDamagedMessages() throws ProtocolException {
    Random random = new Random(4);
    List<byte[]> scripts = ConversationScripts.whole();
    for (int walk = 0; walk < WALKS; walk++) {
      byte[] script = scripts.get(random.nextInt(scripts.size())).clone();
      for (int damages = random.nextInt(4); damages > 0; damages--) {
        script[random.nextInt(script.length)] =
            (byte) random.nextInt(random.nextBoolean() ? 4 : 256);
      }
      converse(script);
    }
  }

  /** Undamaged, the scripts lead through the whole of their conversations. */
  @Test
  void theScriptsThatAreDamagedAreWhole() throws ProtocolException {
    for (byte[] script : ConversationScripts.whole()) {
      assertThat(converse(script)).isEqualTo(Phase.CLOSED);
    }
  }

  /** One that lacks a field which its type has grown since would be refused, and lead nowhere. */
  @Test
  void theStoredMessagesAreWholeAndOfEveryType() throws Exception {
    Set<FrameType> types = EnumSet.of(FrameType.PAGES);
    for (byte[] input : stored("messages")) {
      FrameType type = FrameType.of(input[0]);
      ByteBuf payload = Unpooled.wrappedBuffer(input, 1, input.length - 1);
      assertThat(MessageCodec.decode(type, payload).type()).isEqualTo(type);
      types.add(type);
    }
    assertThat(types).containsExactlyInAnyOrder(FrameType.values());
  }

  @Test
  void theStoredConversationsAreWhole() throws Exception {
    List<byte[]> inputs = stored("conversations");
    assertThat(inputs).hasSameSizeAs(ConversationScripts.whole());
    for (byte[] script : inputs) {
      assertThat(converse(script)).isEqualTo(Phase.CLOSED);
    }
  }

  private static List<byte[]> stored(String test) throws IOException {
    // Not those of the class path, where files that are deleted stay until the next clean build.
    Path folder =
        Path.of("src/test/resources/io/pageferry/protocol/WireFuzzTestInputs").resolve(test);
    List<byte[]> inputs = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        inputs.add(Files.readAllBytes(file));
      }
    }
    return inputs;
  }

  @Test
  void pagesOfRandomBytes() throws IOException {
    Random random = new Random(3);
    for (int walk = 0; walk < WALKS; walk++) {
      ByteBuf out = Unpooled.buffer();
      int runs = random.nextInt(4);
      out.writeIntLE(random.nextInt(3)).writeShortLE(random.nextInt(3)).writeShortLE(runs);
      long first = 0;
      for (int run = 0; run < runs; run++) {
        int encoding = random.nextInt(10);
        int count = random.nextInt(4);
        int length =
            switch (encoding) {
              case 1, 5 -> random.nextInt(20) / 19;
              case 2 -> count * 4096;
              case 7 -> count * 32;
              case 8 -> 1 + count + random.nextInt(3) * 512;
              default -> random.nextInt(60);
            };
        byte[] data = new byte[length];
        random.nextBytes(data);
        if (encoding == 8 && random.nextBoolean()) {
          // A form and one part a page: what follows may well fit.
          data[0] = (byte) random.nextInt(5);
          Arrays.fill(data, 1, 1 + count, (byte) (1 << random.nextInt(8)));
        }
        out.writeLongLE(first).writeIntLE(count).writeByte(encoding).writeZero(3);
        out.writeIntLE(length).writeBytes(data);
        first += count + random.nextInt(10);
      }
      if (random.nextBoolean()) {
        out.setByte(random.nextInt(out.writerIndex()), random.nextInt());
      }
      byte[] data = new byte[out.readableBytes()];
      out.readBytes(data);
      decodePages(data);
    }
  }

  @Test
  void zstdBlocksOfRandomBytes() throws IOException {
    Random random = new Random(5);
    for (int walk = 0; walk < WALKS; walk++) {
      byte[] frame = structured(random, 4 + random.nextInt(60));
      if (random.nextInt(4) > 0) {
        // A header that is right lets what follows it be looked at.
        frame[0] = 0x60;
        frame[1] = 0;
        frame[2] = 0x0F;
      }
      decodeZstd(0, frame);
    }
  }

  @Test
  void referencesOfRandomBytes() throws IOException {
    Random random = new Random(6);
    for (int walk = 0; walk < WALKS; walk++) {
      int count = random.nextInt(10);
      byte[] digests = new byte[Math.max(0, count * 32 + random.nextInt(8) / 7)];
      random.nextBytes(digests);
      decodeReferences(random.nextInt(4), random.nextInt(20) == 0 ? 255 : count, digests);
    }
  }

  /** Nothing but a ProtocolException, and no buffer is left, however the stream is cut. */
  private static void decodeFrames(byte[] data, int cut) {
    UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(true);
    EmbeddedChannel channel = new EmbeddedChannel(new FrameDecoder(4096));
    channel.config().setAllocator(allocator);
    for (int at = 0; at < data.length; at += cut) {
      int length = Math.min(cut, data.length - at);
      ByteBuf read = allocator.directBuffer(length).writeBytes(data, at, length);
      try {
        channel.writeInbound(read);
      } catch (Exception e) {
        assertThat(e).isInstanceOf(ProtocolException.class);
      }
      for (Frame frame = channel.readInbound(); frame != null; frame = channel.readInbound()) {
        assertThat(frame.payload().readableBytes()).isLessThanOrEqualTo(4096);
        frame.release();
      }
    }
    channel.finishAndReleaseAll();
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  /** Nothing but a ProtocolException; and what is read can be written and read again. */
  private static void decodeMessage(int code, byte[] data) {
    try {
      FrameType type = FrameType.of(code);
      Message message = MessageCodec.decode(type, Unpooled.wrappedBuffer(data));
      ByteBuf out = Unpooled.buffer();
      MessageCodec.encode(message, out);
      assertThat(MessageCodec.decode(type, out)).isEqualTo(message);
    } catch (ProtocolException e) {
      assertThat(e.getMessage()).isNotEmpty();
    }
  }

  /**
   * Nothing but a ProtocolException, which leaves the phase as it is. The script has the steps of
   * both sides: the source's are what a hostile peer sends; of the target's own, those that are not
   * legal where the peer has led it are refused as well.
   *
   * @return the phase in the end
   */
  private static Phase converse(byte[] script) throws ProtocolException {
    TargetConversation target = new TargetConversation();
    ByteBuf in = Unpooled.wrappedBuffer(script);
    while (in.readableBytes() >= ConversationScripts.HEADER_BYTES) {
      Phase before = target.phase();
      boolean own = in.readBoolean();
      int channel = in.readByte();
      int code = in.readUnsignedByte();
      ByteBuf payload = in.readSlice(Math.min(in.readUnsignedShortLE(), in.readableBytes()));
      try {
        FrameType type = FrameType.of(code);
        if (type == FrameType.PAGES) {
          int round = payload.isReadable(4) ? payload.readIntLE() : 0;
          target.pagesReceived(channel, round);
          if (payload.isReadable()) {
            target.referencesReceived(channel, round, payload.readByte());
          }
          continue;
        }
        Message message = MessageCodec.decode(type, payload);
        switch (message) {
          case PageRequest request -> target.pageRequestSent(request);
          case RoundEnd end -> target.roundEndReceived(channel, end);
          case Found found -> target.foundSent(channel, found);
          case Message sent when own -> target.sent(sent);
          case Message received -> target.received(received);
        }
      } catch (ProtocolException e) {
        assertThat(e.getMessage()).isNotEmpty();
        assertThat(target.phase()).isEqualTo(before);
      }
    }
    return target.phase();
  }

  private static void decodeZstd(int pages, byte[] frame) throws IOException {
    ByteBuf out = Unpooled.buffer();
    out.writeIntLE(1).writeShortLE(0).writeShortLE(1);
    out.writeLongLE(0).writeIntLE(1 + (pages & 63)).writeByte(6).writeZero(3);
    out.writeIntLE(Integer.BYTES + frame.length).writeIntLE(0xFD2FB528).writeBytes(frame);
    byte[] batch = new byte[out.readableBytes()];
    out.readBytes(batch);
    decodePages(batch);
  }

  private static void decodeReferences(int runs, int count, byte[] digests) throws IOException {
    ByteBuf out = Unpooled.buffer();
    out.writeIntLE(1).writeShortLE(1).writeShortLE(runs & 0xFF);
    for (int run = 0; run < (runs & 0xFF); run++) {
      out.writeLongLE(256L * run).writeIntLE(count & 0xFF).writeByte(7).writeZero(3);
      out.writeIntLE(digests.length).writeBytes(digests);
    }
    byte[] batch = new byte[out.readableBytes()];
    out.readBytes(batch);
    decodePages(batch);
  }

  /** Nothing but a ProtocolException; the sink hears only of pages that the image has. */
  private static void decodePages(byte[] data) throws IOException {
    UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(true);
    ByteBuf payload = allocator.directBuffer(Math.max(1, data.length)).writeBytes(data);
    try (PageDecoder decoder = new PageDecoder(LAYOUT, allocator, Capabilities.CURRENT)) {
      decoder.decode(payload, new Bounded());
    } catch (ProtocolException e) {
      assertThat(e.getMessage()).isNotEmpty();
    } finally {
      payload.release();
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  /** Random bytes in which small numbers and zeros are more frequent than elsewhere. */
  private static byte[] structured(Random random, int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    int sparse = random.nextInt(4);
    for (int i = 0; i < length; i++) {
      if (random.nextInt(4) < sparse) {
        bytes[i] = (byte) random.nextInt(3);
      }
    }
    return bytes;
  }

  private static final class Bounded implements PageSink {
    @Override
    public void zero(int round, int region, long firstPage, long count) {
      check(round, region, firstPage, count);
    }

    @Override
    public void bases(int round, int region, long firstPage, ByteBuffer into) {
      check(round, region, firstPage, into.remaining() / 4096);
      while (into.hasRemaining()) {
        into.putLong(firstPage);
      }
    }

    @Override
    public void earlier(int round, int region, long firstPage, int count, ByteBuffer into) {
      assertThat(into.remaining()).isEqualTo(count * 4096);
      check(round, region, firstPage, count);
      while (into.hasRemaining()) {
        into.putLong(firstPage);
      }
    }

    @Override
    public void references(int round, int region, long firstPage, int count, ByteBuf digests) {
      assertThat(digests.readableBytes()).isEqualTo(count * 32);
      check(round, region, firstPage, count);
    }

    @Override
    public void pages(int round, int region, long firstPage, ByteBuf data) {
      assertThat(data.readableBytes() % 4096).isZero();
      check(round, region, firstPage, data.readableBytes() / 4096);
    }

    @Override
    public void known(int round, int region, long firstPage, int count) {
      check(round, region, firstPage, count);
    }

    private static void check(int round, int region, long firstPage, long count) {
      assertThat(round).isPositive();
      assertThat(firstPage).isNotNegative();
      assertThat(count).isPositive();
      assertThat(firstPage + count).isLessThanOrEqualTo(LAYOUT.regions().get(region).pages());
    }
  }
}
