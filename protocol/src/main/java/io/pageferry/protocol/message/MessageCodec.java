package io.pageferry.protocol.message;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.frame.ProtocolException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * The bytes of every control message. Encoding and decoding of one message stand in the same order
 * in both switches; PROTOCOL.md draws them.
 */
public final class MessageCodec {
  private static final int SPAN_BYTES = 2 * Long.BYTES;
  private static final int MIN_REGION_BYTES = Byte.BYTES + Long.BYTES;
  private static final int MIN_PART_BYTES = 2;

  private MessageCodec() {}

  /**
   * Appends the payload, without a frame header.
   *
   * @param out grows as needed, to at most {@link
   *     io.pageferry.protocol.frame.FrameHeader#MAX_PAYLOAD}
   */
  public static void encode(Message message, ByteBuf out) {
    switch (message) {
      case Hello m -> {
        out.writeIntLE(Hello.MAGIC);
        out.writeShortLE(m.versions().min()).writeShortLE(m.versions().max());
        out.writeByte(m.role().code()).writeByte(0).writeShortLE(m.channelIndex());
        encode(m.capabilities(), m.limits(), out);
        uuid(m.migration(), out);
        out.writeByte(m.token().length).writeBytes(m.token());
        text8(m.agent(), out);
      }
      case Welcome m -> {
        out.writeShortLE(m.version()).writeShortLE(0);
        encode(m.capabilities(), m.limits(), out);
        text8(m.agent(), out);
      }
      case Offer m -> {
        uuid(m.migration(), out);
        out.writeByte(m.mode().code()).writeByte(m.verifyFull() ? 1 : 0);
        out.writeShortLE(m.dataChannels());
        out.writeByte(m.postcopy().code()).writeZero(3);
        out.writeLongLE(m.downtimeLimitMicros());
        text8(m.guest(), out);
        out.writeShortLE(m.regions().size());
        for (RegionOffer region : m.regions()) {
          text8(region.name(), out);
          out.writeLongLE(region.bytes());
        }
        out.writeShortLE(m.machine().size());
        m.machine().forEach(part -> text8(part, out));
      }
      case Accepted m -> {
        byte[] faultToken = m.faultToken();
        out.writeLongLE(m.startCostMicros()).writeShortLE(m.joinTokens().size());
        out.writeByte(faultToken == null ? 0 : 1);
        out.writeByte(Integer.numberOfTrailingZeros(m.granulePages()));
        m.joinTokens().forEach(out::writeBytes);
        if (faultToken != null) {
          out.writeBytes(faultToken);
        }
      }
      case RoundBegin m -> {
        out.writeIntLE(m.round()).writeByte(m.last() ? 1 : 0).writeZero(3);
        out.writeLongLE(m.dirtyPages());
      }
      case RoundEnd m -> out.writeIntLE(m.round()).writeIntLE(0).writeLongLE(m.pages());
      case RoundLanded m -> out.writeIntLE(m.round()).writeIntLE(0).writeLongLE(m.pages());
      case DirtySummary m -> {
        out.writeIntLE(m.round()).writeShortLE(m.region()).writeShortLE(m.spans().size());
        out.writeLongLE(m.dirtyPages());
        spans(m.spans(), out);
      }
      case DeviceState m -> {
        out.writeLongLE(m.offset()).writeByte(m.last() ? 1 : 0).writeZero(3);
        out.writeIntLE(m.bytes().length).writeBytes(m.bytes());
      }
      case DigestValue m -> {
        out.writeLongLE(m.high()).writeLongLE(m.low());
        out.writeByte(m.full() ? 1 : 0).writeZero(7);
      }
      case Prepared m -> {
        out.writeLongLE(m.high()).writeLongLE(m.low());
        out.writeByte(m.digestMatches() ? 1 : 0).writeZero(7);
      }
      case Commit m -> {}
      case Started m -> {
        out.writeLongLE(m.takeOverMicros()).writeLongLE(m.guestDowntimeMicros());
        out.writeLongLE(m.deviceLoadMicros()).writeLongLE(m.ledgerMicros());
        out.writeLongLE(m.startMicros());
      }
      case Abort m -> {
        byte[] text = m.text().getBytes(StandardCharsets.UTF_8);
        out.writeShortLE(m.reason().code()).writeShortLE(text.length).writeBytes(text);
      }
      case KeepAlive m -> out.writeLongLE(m.sequence());
      case OwnershipQuery m -> uuid(m.migration(), out);
      case Ownership m -> {
        uuid(m.migration(), out);
        out.writeByte(m.state().code()).writeZero(7);
      }
      case Reclaim m -> uuid(m.migration(), out);
      case Goodbye m -> {}
      case Progress m -> out.writeLongLE(m.pagesLanded());
      case Missing m -> {
        out.writeShortLE(m.region()).writeByte(m.last() ? 1 : 0).writeByte(0);
        out.writeIntLE(m.spans().size());
        spans(m.spans(), out);
      }
      case Switch m -> out.writeIntLE(m.round()).writeIntLE(0).writeLongLE(m.missingPages());
      case PageRequest m -> {
        out.writeShortLE(m.region()).writeShortLE(m.pages().length).writeZero(4);
        for (long page : m.pages()) {
          out.writeLongLE(page);
        }
      }
      case Settled m -> {
        out.writeLongLE(m.high()).writeLongLE(m.low());
        out.writeByte(m.comparison().code()).writeZero(7);
        out.writeLongLE(m.faults()).writeLongLE(m.localFaults()).writeLongLE(m.avoided());
        out.writeLongLE(m.duplicates()).writeLongLE(m.removedPages());
        out.writeLongLE(m.p50Nanos()).writeLongLE(m.p99Nanos()).writeLongLE(m.maxNanos());
        out.writeLongLE(m.guestMilliOpsPerSecond()).writeLongLE(m.afterMilliOpsPerSecond());
      }
      case Resume m -> uuid(m.migration(), out);
      case Resumed m -> {
        uuid(m.migration(), out);
        out.writeIntLE(m.round()).writeShortLE(m.joinTokens().size()).writeShortLE(0);
        m.joinTokens().forEach(out::writeBytes);
        out.writeBytes(m.faultToken());
      }
      case Recall m -> out.writeBytes(m.salt());
      case Recalled m -> {
        out.writeShortLE(m.region()).writeByte(m.last() ? 1 : 0).writeByte(0);
        out.writeIntLE(m.pages()).writeLongLE(m.firstPage()).writeBytes(m.digests());
      }
      case Found m -> {
        out.writeIntLE(m.round()).writeShortLE(m.pages()).writeShortLE(0);
        out.writeBytes(m.findings());
      }
    }
  }

  /**
   * Reads a message from the whole of the payload. The buffer stays the caller's.
   *
   * @throws ProtocolException {@link AbortReason#PROTOCOL_VIOLATION} if there are too few or too
   *     many bytes, or a value is one that the message cannot have
   */
  public static Message decode(FrameType type, ByteBuf payload) throws ProtocolException {
    PayloadReader in = new PayloadReader(payload);
    try {
      Message message = decode(type, in);
      in.end();
      return message;
    } catch (IllegalArgumentException e) {
      // The records know their own ranges; what a peer sends outside of them is the peer's fault.
      throw new ProtocolException(
          AbortReason.PROTOCOL_VIOLATION, "a bad " + type + " message: " + e.getMessage(), e);
    } catch (ProtocolException e) {
      throw new ProtocolException(e.reason(), "a bad " + type + " message: " + e.getMessage(), e);
    }
  }

  private static Message decode(FrameType type, PayloadReader in) throws ProtocolException {
    return switch (type) {
      case HELLO -> hello(in);
      case WELCOME -> welcome(in);
      case OFFER -> offer(in);
      case ACCEPTED -> accepted(in);
      case PAGES -> throw ProtocolException.violation("pages are not a message");
      case ROUND_BEGIN -> {
        int round = in.u31();
        boolean last = in.bool();
        in.zeros(3);
        yield new RoundBegin(round, last, in.i64());
      }
      case ROUND_END -> new RoundEnd(round(in), in.i64());
      case ROUND_LANDED -> new RoundLanded(round(in), in.i64());
      case DIRTY_SUMMARY -> dirtySummary(in);
      case DEVICE_STATE -> {
        long offset = in.i64();
        boolean last = in.bool();
        in.zeros(3);
        yield new DeviceState(offset, last, in.bytes(in.i32(), DeviceState.MAX_BYTES));
      }
      case DIGEST -> {
        long high = in.i64();
        long low = in.i64();
        yield new DigestValue(high, low, lastBool(in));
      }
      case PREPARED -> {
        long high = in.i64();
        long low = in.i64();
        yield new Prepared(lastBool(in), high, low);
      }
      case COMMIT -> new Commit();
      case STARTED -> new Started(in.i64(), in.i64(), in.i64(), in.i64(), in.i64());
      case ABORT -> {
        AbortReason reason = AbortReason.of(in.u16());
        yield new Abort(reason, in.text(in.u16(), Abort.MAX_TEXT_BYTES));
      }
      case KEEP_ALIVE -> new KeepAlive(in.i64());
      case OWNERSHIP_QUERY -> new OwnershipQuery(in.uuid());
      case OWNERSHIP -> {
        UUID migration = in.uuid();
        OwnershipState state = OwnershipState.of(in.u8());
        in.zeros(7);
        yield new Ownership(migration, state);
      }
      case RECLAIM -> new Reclaim(in.uuid());
      case GOODBYE -> new Goodbye();
      case PROGRESS -> new Progress(in.i64());
      case MISSING -> missing(in);
      case SWITCH -> new Switch(round(in), in.i64());
      case PAGE_REQUEST -> pageRequest(in);
      case SETTLED -> settled(in);
      case RESUME -> new Resume(in.uuid());
      case RESUMED -> resumed(in);
      case RECALL -> new Recall(in.bytes(Recall.SALT_BYTES, Recall.SALT_BYTES));
      case RECALLED -> recalled(in);
      case FOUND -> {
        int round = in.u31();
        int pages = in.count(in.u16(), Found.MAX_PAGES, Byte.BYTES);
        in.zeros(2);
        yield new Found(round, in.bytes(pages, Found.MAX_PAGES));
      }
    };
  }

  private static Hello hello(PayloadReader in) throws ProtocolException {
    if (in.i32() != Hello.MAGIC) {
      throw ProtocolException.violation("it does not begin with PGFY");
    }
    VersionRange versions = new VersionRange(in.u16(), in.u16());
    ChannelRole role = ChannelRole.of(in.u8());
    in.zeros(1);
    int channelIndex = in.u16();
    Capabilities capabilities = new Capabilities(in.i64());
    Limits limits = limits(in);
    UUID migration = in.uuid();
    byte[] token = in.bytes(in.u8(), Hello.TOKEN_BYTES);
    String agent = in.text(in.u8(), Hello.MAX_AGENT_BYTES);
    return new Hello(versions, role, capabilities, limits, agent, migration, token, channelIndex);
  }

  private static Welcome welcome(PayloadReader in) throws ProtocolException {
    int version = in.u16();
    in.zeros(2);
    Capabilities capabilities = new Capabilities(in.i64());
    Limits limits = limits(in);
    return new Welcome(version, capabilities, limits, in.text(in.u8(), Hello.MAX_AGENT_BYTES));
  }

  private static Offer offer(PayloadReader in) throws ProtocolException {
    UUID migration = in.uuid();
    MigrationMode mode = MigrationMode.of(in.u8());
    boolean verifyFull = in.bool();
    int dataChannels = in.u16();
    PostcopyWish postcopy = PostcopyWish.of(in.u8());
    in.zeros(3);
    long downtimeLimitMicros = in.i64();
    String guest = in.text(in.u8(), Offer.MAX_GUEST_BYTES);
    int count = in.count(in.u16(), Offer.MAX_REGIONS, MIN_REGION_BYTES);
    Bounds.check("number of regions", count, 1, Offer.MAX_REGIONS);
    List<RegionOffer> regions = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      String name = in.text(in.u8(), RegionOffer.MAX_NAME_BYTES);
      regions.add(new RegionOffer(name, in.i64()));
    }
    int parts = in.count(in.u16(), Offer.MAX_MACHINE_PARTS, MIN_PART_BYTES);
    List<String> machine = new ArrayList<>(parts);
    for (int i = 0; i < parts; i++) {
      machine.add(in.text(in.u8(), Offer.MAX_PART_BYTES));
    }
    return new Offer(
        migration,
        guest,
        mode,
        postcopy,
        regions,
        dataChannels,
        verifyFull,
        downtimeLimitMicros,
        machine);
  }

  private static Accepted accepted(PayloadReader in) throws ProtocolException {
    long startCostMicros = in.i64();
    int count = in.u16();
    boolean postcopy = in.bool();
    int granuleShift = in.u8();
    Bounds.check(
        "size of a granule",
        granuleShift,
        0,
        Integer.numberOfTrailingZeros(Accepted.MAX_GRANULE_PAGES));
    List<byte[]> tokens = tokens(in, count);
    return new Accepted(tokens, startCostMicros, postcopy ? token(in) : null, 1 << granuleShift);
  }

  private static DirtySummary dirtySummary(PayloadReader in) throws ProtocolException {
    int round = in.u31();
    int region = in.u16();
    int count = in.count(in.u16(), DirtySummary.MAX_SPANS, SPAN_BYTES);
    long dirtyPages = in.i64();
    return new DirtySummary(round, region, dirtyPages, spans(in, count));
  }

  private static Missing missing(PayloadReader in) throws ProtocolException {
    int region = in.u16();
    boolean last = in.bool();
    in.zeros(1);
    int count = in.count(in.u31(), Missing.MAX_SPANS, SPAN_BYTES);
    return new Missing(region, last, spans(in, count));
  }

  private static PageRequest pageRequest(PayloadReader in) throws ProtocolException {
    int region = in.u16();
    int count = in.u16();
    in.zeros(4);
    long[] pages = new long[in.count(count, PageRequest.MAX_PAGES, Long.BYTES)];
    for (int i = 0; i < pages.length; i++) {
      pages[i] = in.i64();
    }
    return new PageRequest(region, pages);
  }

  private static Settled settled(PayloadReader in) throws ProtocolException {
    long high = in.i64();
    long low = in.i64();
    Comparison comparison = Comparison.of(in.u8());
    in.zeros(7);
    return new Settled(
        high,
        low,
        comparison,
        in.i64(),
        in.i64(),
        in.i64(),
        in.i64(),
        in.i64(),
        in.i64(),
        in.i64(),
        in.i64(),
        in.i64(),
        in.i64());
  }

  private static Resumed resumed(PayloadReader in) throws ProtocolException {
    UUID migration = in.uuid();
    int round = in.u31();
    int count = in.u16();
    in.zeros(2);
    return new Resumed(migration, round, tokens(in, count), token(in));
  }

  private static Recalled recalled(PayloadReader in) throws ProtocolException {
    int region = in.u16();
    boolean last = in.bool();
    in.zeros(1);
    int pages = in.count(in.u31(), Recalled.MAX_PAGES, Recalled.DIGEST_BYTES);
    long firstPage = in.i64();
    int bytes = pages * Recalled.DIGEST_BYTES;
    return new Recalled(region, last, firstPage, in.bytes(bytes, bytes));
  }

  private static List<byte[]> tokens(PayloadReader in, int count) throws ProtocolException {
    in.count(count, Limits.MAX_DATA_CHANNELS, Hello.TOKEN_BYTES);
    List<byte[]> tokens = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      tokens.add(token(in));
    }
    return tokens;
  }

  private static byte[] token(PayloadReader in) throws ProtocolException {
    return in.bytes(Hello.TOKEN_BYTES, Hello.TOKEN_BYTES);
  }

  private static List<PageSpan> spans(PayloadReader in, int count) throws ProtocolException {
    List<PageSpan> spans = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      spans.add(new PageSpan(in.i64(), in.i64()));
    }
    return spans;
  }

  private static int round(PayloadReader in) throws ProtocolException {
    int round = in.u31();
    in.zeros(4);
    return round;
  }

  private static boolean lastBool(PayloadReader in) throws ProtocolException {
    boolean value = in.bool();
    in.zeros(7);
    return value;
  }

  private static Limits limits(PayloadReader in) throws ProtocolException {
    return new Limits(in.u31(), in.u16(), in.u16());
  }

  private static void encode(Capabilities capabilities, Limits limits, ByteBuf out) {
    out.writeLongLE(capabilities.bits());
    out.writeIntLE(limits.maxPayloadBytes());
    out.writeShortLE(limits.maxDataChannels()).writeShortLE(limits.maxRunsPerBatch());
  }

  private static void spans(List<PageSpan> spans, ByteBuf out) {
    for (PageSpan span : spans) {
      out.writeLongLE(span.firstPage()).writeLongLE(span.count());
    }
  }

  private static void uuid(UUID uuid, ByteBuf out) {
    out.writeLong(uuid.getMostSignificantBits()).writeLong(uuid.getLeastSignificantBits());
  }

  private static void text8(String text, ByteBuf out) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    out.writeByte(utf8.length).writeBytes(utf8);
  }
}
