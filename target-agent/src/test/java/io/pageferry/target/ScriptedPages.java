package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.Resume;
import io.pageferry.protocol.message.Resumed;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.message.Started;
import io.pageferry.protocol.message.Switch;
import io.pageferry.protocol.message.Welcome;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.protocol.page.PageEncoder;
import io.pageferry.protocol.page.PageRuns;
import io.pageferry.protocol.page.PageTally;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The post-copy part of a scripted source: names what is missing, answers page requests on a thread
 * of its own, pushes the rest, in one connection after the other. Each page goes once a connection,
 * unless the test says otherwise.
 */
final class ScriptedPages implements AutoCloseable {
  private final ScriptedSource first;
  private final GuestImage image;
  private final ImageDigest.Stripe urgentStripe;
  private final ImageDigest.Stripe pushStripe;
  private final PageEncoder urgent = new PageEncoder(ByteBufAllocator.DEFAULT, true);
  private final PageEncoder push = new PageEncoder(ByteBufAllocator.DEFAULT, true);

  /** What is still to be sent in this connection. Guarded by this. */
  private final BitSet unsent = new BitSet();

  PeerChannel control;
  List<PeerChannel> data = new ArrayList<>();
  @Nullable PeerChannel fault;
  int round;

  /** While false, page requests are read and forgotten. */
  volatile boolean answering = true;

  final AtomicLong requests = new AtomicLong();

  /** On the fault channel of this connection. Guarded by this. */
  private long urgentPages;

  ScriptedPages(ScriptedSource source, GuestImage image) {
    this.first = source;
    this.image = image;
    this.control = source.control;
    this.urgentStripe = source.digest.stripe();
    this.pushStripe = source.digest.stripe();
  }

  /** Everything up to a guest that runs on the target; nothing of its memory has been pushed. */
  Started start(DemoGuestProcess guest, String name, int channels) throws Exception {
    prepare(guest, name, channels);
    control.send(new Commit());
    return first.expect(Started.class);
  }

  Prepared prepare(DemoGuestProcess guest, String name, int channels) throws Exception {
    control.send(
        first.offerPostCopy(name, channels, io.pageferry.protocol.message.MigrationMode.POSTCOPY));
    var accepted = first.expect(io.pageferry.protocol.message.Accepted.class);
    join(accepted.joinTokens(), accepted.faultToken());
    List<PageSpan> spans = new ArrayList<>();
    image.populatedRuns(
        0,
        (region, page, count) -> {
          spans.add(new PageSpan(page, count));
          unsent.set((int) page, (int) (page + count));
        });
    switchOver(guest, 1, spans);
    return first.expect(Prepared.class);
  }

  void switchOver(DemoGuestProcess guest, int postCopyRound, List<PageSpan> spans)
      throws Exception {
    for (int at = 0; at == 0 || at < spans.size(); at += 1000) {
      int end = Math.min(spans.size(), at + 1000);
      control.send(new Missing(0, end == spans.size(), spans.subList(at, end)));
    }
    synchronized (this) {
      spans.forEach(span -> unsent.set((int) span.firstPage(), (int) span.endPage()));
    }
    first.deviceState(guest.control.saveDeviceState());
    round = postCopyRound;
    control.send(new Switch(postCopyRound, spans.stream().mapToLong(PageSpan::count).sum()));
  }

  void join(List<byte[]> tokens, byte @Nullable [] faultToken) throws Exception {
    if (faultToken == null) {
      throw new AssertionError("the target does not offer a fault channel");
    }
    data = new ArrayList<>();
    for (int i = 0; i < tokens.size(); i++) {
      data.add(channel(ChannelRole.DATA, tokens.get(i), i));
    }
    PeerChannel joined = channel(ChannelRole.FAULT, faultToken, 0);
    synchronized (this) {
      fault = joined;
      urgentPages = 0;
    }
    Thread.ofVirtual().start(() -> answerAll(joined));
  }

  private PeerChannel channel(ChannelRole role, byte[] token, int index) throws Exception {
    PeerChannel channel = first.connector.connect(first.target);
    channel.send(ScriptedSource.hello(role, first.migration, token, index));
    ScriptedSource.expect(channel, Welcome.class);
    return channel;
  }

  private void answerAll(PeerChannel channel) {
    try {
      while (true) {
        if (channel.receive(ScriptedSource.PATIENCE) instanceof PageRequest request) {
          requests.incrementAndGet();
          for (long page : request.pages()) {
            answer(channel, page);
          }
        }
      }
    } catch (Exception e) {
      // The connection is over, as every one is in the end.
    }
  }

  /**
   * Under the lock that ends the round, too: a page that follows its ROUND_END is a breach. Who
   * still has a request of an earlier connection takes nothing away from the present one.
   */
  private synchronized void answer(PeerChannel channel, long page) throws Exception {
    if (answering && channel == fault && unsent.get((int) page)) {
      unsent.clear((int) page);
      channel.sendFrame(batch(urgent, urgentStripe, page, 1));
      urgentPages++;
    }
  }

  /** Takes the next page that is still to be sent; -1 if there is none. */
  synchronized int next() {
    int page = unsent.nextSetBit(0);
    if (page >= 0) {
      unsent.clear(page);
    }
    return page;
  }

  synchronized int left() {
    return unsent.cardinality();
  }

  ByteBuf batch(long page, int pages) throws Exception {
    return batch(push, pushStripe, page, pages);
  }

  private ByteBuf batch(PageEncoder encoder, ImageDigest.Stripe stripe, long page, int pages)
      throws Exception {
    ByteBuf snapshot = encoder.snapshotBuffer(pages);
    image.read(0, page, snapshot.nioBuffer(PageBatch.HEADROOM, pages * PageBatch.PAGE_BYTES));
    snapshot.writerIndex(PageBatch.HEADROOM + pages * PageBatch.PAGE_BYTES);
    return encoder.encode(round, PageRuns.of(0, page, pages), snapshot, stripe, new PageTally());
  }

  /** Pushes so many pages, or all that are left. */
  long push(long atMost) throws Exception {
    long pushed = 0;
    for (int page; pushed < atMost && (page = next()) >= 0; pushed++) {
      data.get((int) (pushed % data.size())).sendFrame(batch(page, 1));
    }
    return pushed;
  }

  /**
   * Pushes the rest, ends the round and compares.
   *
   * @param extra pages that were sent beside, on data channel 0, in this connection
   */
  Settled settle(long extra) throws Exception {
    pushTheRest(extra);
    return settled();
  }

  /** As {@link #settle}, up to the comparison. */
  void pushTheRest(long extra) throws Exception {
    long pushed = 0;
    long[] sent = new long[data.size()];
    sent[0] = extra;
    for (int page; (page = next()) >= 0; pushed++) {
      int channel = (int) (pushed % data.size());
      data.get(channel).sendFrame(batch(page, 1));
      sent[channel]++;
    }
    for (int i = 0; i < data.size(); i++) {
      data.get(i).send(new RoundEnd(round, sent[i]));
    }
    PeerChannel urgentChannel = fault;
    if (urgentChannel != null) {
      synchronized (this) {
        urgentChannel.send(new RoundEnd(round, urgentPages));
      }
    }
    expect(RoundLanded.class);
    Digest digest = first.digest();
    control.send(new DigestValue(digest.high(), digest.low(), false));
  }

  /** What comes of the comparison; it is answered. */
  Settled settled() throws Exception {
    Settled settled = expect(Settled.class);
    control.send(new Goodbye());
    return settled;
  }

  <T extends Message> T expect(Class<T> type) throws Exception {
    return ScriptedSource.expect(control, type);
  }

  /** As when the network is gone: nothing is said. */
  void cut() {
    List<PeerChannel> all = new ArrayList<>(data);
    all.add(control);
    if (fault != null) {
      all.add(fault);
    }
    all.forEach(PeerChannel::close);
  }

  /** A new control connection on which nothing but the greeting was said. */
  void greet() throws Exception {
    PeerChannel fresh = first.connector.connect(first.target);
    fresh.send(ScriptedSource.hello(ChannelRole.CONTROL, Hello.NO_MIGRATION, new byte[0], 0));
    ScriptedSource.expect(fresh, Welcome.class);
    control = fresh;
  }

  /** Takes the migration up again on new connections; what is missing there is sent anew. */
  void resume() throws Exception {
    greet();
    control.send(new OwnershipQuery(first.migration));
    assertThat(expect(Ownership.class).state()).isEqualTo(OwnershipState.FETCHING);
    control.send(new Resume(first.migration));
    Resumed resumed = expect(Resumed.class);
    assertThat(resumed.round()).isGreaterThan(round);
    round = resumed.round();
    synchronized (this) {
      unsent.clear();
    }
    Missing missing;
    do {
      missing = expect(Missing.class);
      List<PageSpan> spans = missing.spans();
      synchronized (this) {
        spans.forEach(span -> unsent.set((int) span.firstPage(), (int) span.endPage()));
      }
    } while (!missing.last());
    join(resumed.joinTokens(), resumed.faultToken());
  }

  /** Whose the guest is, asked on a new connection. */
  OwnershipState query() throws Exception {
    greet();
    try (PeerChannel asking = control) {
      asking.send(new OwnershipQuery(first.migration));
      return ScriptedSource.expect(asking, Ownership.class).state();
    }
  }

  /** How a RESUME is refused. */
  Abort resumeRefused() throws Exception {
    greet();
    control.send(new Resume(first.migration));
    return ScriptedSource.expectAbort(control);
  }

  @Override
  public void close() {
    cut();
    urgent.close();
    push.close();
  }
}
