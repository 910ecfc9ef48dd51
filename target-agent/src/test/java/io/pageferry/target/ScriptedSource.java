package io.pageferry.target;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerConnector;
import io.pageferry.protocol.channel.TransportSettings;
import io.pageferry.protocol.frame.Crc32c;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.message.PostcopyWish;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import io.pageferry.protocol.page.ContentHash;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.protocol.page.PageEncoder;
import io.pageferry.protocol.page.PageRuns;
import io.pageferry.protocol.page.PageTally;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;

/**
 * A source that does exactly what a test says, over real channels, and has none of a source's
 * scruples. Not thread-safe.
 */
final class ScriptedSource implements AutoCloseable {
  static final Duration PATIENCE = Duration.ofSeconds(60);

  final UUID migration;
  final List<PeerChannel> data = new ArrayList<>();
  final PeerConnector connector;
  final PeerChannel control;

  /** Where the target listens; another one after it was restarted. */
  InetSocketAddress target;

  final ImageLayout layout;
  private final PageEncoder encoder = new PageEncoder(ByteBufAllocator.DEFAULT, true);
  final ImageDigest digest;
  private final ImageDigest.Stripe stripe;

  /** Greets on a control channel. */
  ScriptedSource(InetSocketAddress target, long bytes) throws Exception {
    this(target, UUID.randomUUID(), bytes);
  }

  ScriptedSource(InetSocketAddress target, UUID migration, long bytes) throws Exception {
    this.target = target;
    this.migration = migration;
    this.layout =
        new ImageLayout(List.of(new ImageLayout.Region("ram", bytes / PageBatch.PAGE_BYTES)));
    this.digest = new ImageDigest(layout);
    this.stripe = digest.stripe();
    this.connector =
        new PeerConnector(
            TransportSettings.plaintext()
                .withKeepAlive(Duration.ofMillis(200), Duration.ofSeconds(20)));
    this.control = connector.connect(target);
    control.send(hello(ChannelRole.CONTROL, Hello.NO_MIGRATION, new byte[0], 0));
    expect(Welcome.class);
  }

  static Hello hello(ChannelRole role, UUID migration, byte[] token, int index) {
    return new Hello(
        VersionRange.CURRENT,
        role,
        Capabilities.CURRENT,
        Limits.CURRENT,
        "scripted",
        migration,
        token,
        index);
  }

  Offer offer(String guest, int channels, boolean verifyFull) {
    return new Offer(
        migration,
        guest,
        MigrationMode.PRECOPY,
        PostcopyWish.NO,
        List.of(new RegionOffer("ram", layout.regions().getFirst().pages() * PageBatch.PAGE_BYTES)),
        channels,
        verifyFull,
        0,
        List.of());
  }

  Offer offerPostCopy(String guest, int channels, MigrationMode mode) {
    return new Offer(
        migration,
        guest,
        mode,
        mode == MigrationMode.PRECOPY ? PostcopyWish.IF_POSSIBLE : PostcopyWish.REQUIRED,
        List.of(new RegionOffer("ram", layout.regions().getFirst().pages() * PageBatch.PAGE_BYTES)),
        channels,
        false,
        0,
        List.of());
  }

  <T extends Message> T expect(Class<T> type) throws Exception {
    return expect(control, type);
  }

  static <T extends Message> T expect(PeerChannel channel, Class<T> type) throws Exception {
    return type.cast(channel.receive(PATIENCE));
  }

  /** The reason for which the target gives up, told on the control channel. */
  Abort expectAbort() throws Exception {
    return expectAbort(control);
  }

  static Abort expectAbort(PeerChannel channel) throws Exception {
    try {
      while (true) {
        Message message = channel.receive(PATIENCE);
        if (!(message instanceof RoundLanded)) {
          throw new AssertionError("expected an ABORT, not " + message);
        }
      }
    } catch (PeerAbortedException e) {
      return new Abort(e.reason(), e.text());
    }
  }

  /** Offers and opens all data channels. */
  Accepted begin(String guest, int channels, boolean verifyFull) throws Exception {
    control.send(offer(guest, channels, verifyFull));
    Accepted accepted = expect(Accepted.class);
    for (int i = 0; i < channels; i++) {
      PeerChannel channel = join(accepted.joinTokens().get(i), i);
      expect(channel, Welcome.class);
    }
    return accepted;
  }

  PeerChannel join(byte[] token, int index) throws Exception {
    PeerChannel channel = connector.connect(target);
    data.add(channel);
    channel.send(hello(ChannelRole.DATA, migration, token, index));
    return channel;
  }

  PeerChannel another() throws Exception {
    return connector.connect(target);
  }

  /** One whole round with everything that the image holds, spread over the channels. */
  void round(int round, boolean last, GuestImage image) throws Exception {
    control.send(new RoundBegin(round, last, layout.pages()));
    long[] sent = new long[data.size()];
    int[] next = {0};
    for (ImageRegion region : image.regions()) {
      if (round == 1) {
        // A whole region of zeros first: what follows lands over it.
        PageTally tally = new PageTally();
        data.getFirst()
            .sendFrame(
                encoder.encodeZero(
                    round, region.index(), List.of(new PageSpan(0, region.pages())), tally));
        sent[0] += tally.pages();
        endRound(round, sent);
        expect(RoundLanded.class);
        return;
      }
      image.populatedRuns(
          region.index(),
          (index, first, count) -> {
            for (long done = 0; done < count; done += PageBatch.MAX_PAGES) {
              int pages = (int) Math.min(PageBatch.MAX_PAGES, count - done);
              int channel = next[0]++ % data.size();
              try {
                data.get(channel).sendFrame(batch(round, first + done, pages, image));
              } catch (Exception e) {
                throw new java.io.IOException(e);
              }
              sent[channel] += pages;
            }
          });
    }
    endRound(round, sent);
    expect(RoundLanded.class);
  }

  private void endRound(int round, long[] sent) {
    for (int i = 0; i < data.size(); i++) {
      data.get(i).send(new RoundEnd(round, sent[i]));
    }
  }

  ByteBuf batch(int round, long first, int pages, GuestImage image) throws Exception {
    ByteBuf snapshot = encoder.snapshotBuffer(pages);
    image.read(0, first, snapshot.nioBuffer(PageBatch.HEADROOM, pages * PageBatch.PAGE_BYTES));
    snapshot.writerIndex(PageBatch.HEADROOM + pages * PageBatch.PAGE_BYTES);
    return encoder.encode(round, PageRuns.of(0, first, pages), snapshot, stripe, new PageTally());
  }

  /** So many pages of one byte each, from a page on. */
  ByteBuf batch(int round, long first, int pages, int content) {
    ByteBuf snapshot = encoder.snapshotBuffer(pages);
    for (int i = 0; i < pages * PageBatch.PAGE_BYTES; i++) {
      snapshot.writeByte(content);
    }
    return encoder.encode(round, PageRuns.of(0, first, pages), snapshot, stripe, new PageTally());
  }

  /** A frame whose numbers no encoder would write: a raw run that need not lie in the image. */
  static ByteBuf rawBatch(int round, int region, long first, int pages) {
    return run(round, region, first, pages, 2, new byte[pages * PageBatch.PAGE_BYTES]);
  }

  /** One page as a difference that changes nothing, and is to come out with this hash. */
  static ByteBuf deltaBatch(int round, long page, int hash) {
    ByteBuf data = Unpooled.buffer(8).writeIntLE(hash).writeShortLE(0).writeByte(1).writeByte(0);
    return run(round, 0, page, 1, 4, data.array());
  }

  /** Pages that the target is said to have. */
  static ByteBuf knownBatch(int round, long first, int pages) {
    return run(round, 0, first, pages, 5, new byte[0]);
  }

  /** A page of which only this part is not what the target has. */
  static ByteBuf part(int round, long page, int part, int content) {
    byte[] data = new byte[2 + 512];
    Arrays.fill(data, (byte) content);
    data[0] = 1; // as it is
    data[1] = (byte) (1 << part);
    return run(round, 0, page, 1, 8, data);
  }

  /** So many neighbours that are said to have this content each. */
  static ByteBuf references(int round, long first, byte[]... pages) {
    ByteBuf digests = Unpooled.buffer();
    for (byte[] page : pages) {
      ByteBuffer memory = ByteBuffer.allocateDirect(PageBatch.PAGE_BYTES).put(page);
      digests.writeBytes(new ContentHash().of(memory, 0));
    }
    byte[] data = new byte[digests.readableBytes()];
    digests.readBytes(data);
    return run(round, 0, first, pages.length, 7, data);
  }

  /** What the target says of the last batch of references. */
  List<Byte> found(int channel) throws Exception {
    Found found = expect(data.get(channel), Found.class);
    List<Byte> findings = new ArrayList<>();
    for (byte finding : found.findings()) {
      findings.add(finding);
    }
    return findings;
  }

  private static ByteBuf run(
      int round, int region, long first, int pages, int encoding, byte[] data) {
    int payload = PageBatch.BATCH_HEADER_BYTES + PageBatch.RUN_HEADER_BYTES + data.length;
    ByteBuf frame = ByteBufAllocator.DEFAULT.directBuffer(FrameHeader.BYTES + payload);
    frame.writerIndex(FrameHeader.BYTES);
    frame.writeIntLE(round).writeShortLE(region).writeShortLE(1);
    frame.writeLongLE(first).writeIntLE(pages).writeByte(encoding).writeByte(0).writeShortLE(0);
    frame.writeIntLE(data.length).writeBytes(data);
    FrameHeader.write(
        frame, 0, FrameType.PAGES, payload, Crc32c.of(frame, FrameHeader.BYTES, payload));
    return frame;
  }

  ByteBuf zeros(int round, long first, long pages) {
    return encoder.encodeZero(round, 0, List.of(new PageSpan(first, pages)), new PageTally());
  }

  Digest digest() {
    return digest.value();
  }

  void deviceState(byte[] deviceState) {
    for (int at = 0; at < deviceState.length || at == 0; at += 1000) {
      int length = Math.min(1000, deviceState.length - at);
      byte[] piece = java.util.Arrays.copyOfRange(deviceState, at, at + length);
      control.send(new DeviceState(at, at + length == deviceState.length, piece));
    }
  }

  /** Device state and digest; the answer is due. */
  void finish(byte[] deviceState, boolean full) {
    deviceState(deviceState);
    Digest value = digest.value();
    control.send(new DigestValue(value.high(), value.low(), full));
  }

  /** Everything up to PREPARED, with a real guest's memory and state. */
  Prepared prepare(DemoGuestProcess guest, String name, int channels, boolean verifyFull)
      throws Exception {
    begin(name, channels, verifyFull);
    round(1, false, guest.memory);
    round(2, false, guest.memory);
    round(3, true, guest.memory);
    finish(guest.control.saveDeviceState(), verifyFull);
    return expect(Prepared.class);
  }

  @Override
  public void close() {
    connector.close();
    encoder.close();
    digest.close();
  }
}
