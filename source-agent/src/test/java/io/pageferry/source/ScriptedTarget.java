package io.pageferry.source;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.pageferry.protocol.channel.FrameListener;
import io.pageferry.protocol.channel.PeerAcceptor;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.TransportSettings;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MessageCodec;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.message.Resume;
import io.pageferry.protocol.message.Resumed;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.message.Welcome;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.protocol.page.PageDecoder;
import io.pageferry.protocol.page.PageSink;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A target whose guest runs and waits for its pages, without a guest: one region, one data channel,
 * plain TCP.
 */
final class ScriptedTarget implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofSeconds(60);

  private final ImageLayout layout;
  private final PeerAcceptor acceptor = new PeerAcceptor(TransportSettings.plaintext());
  private final InetSocketAddress address;
  private final ConcurrentLinkedQueue<PeerChannel> open = new ConcurrentLinkedQueue<>();
  private final Map<ChannelRole, PeerChannel> latest = new ConcurrentHashMap<>();
  private final ImageDigest digest;
  private final ImageDigest.Stripe stripe;

  /** How often each page came. */
  private final int[] came;

  /** In which order pages came on the fault channel. */
  private final List<Long> answered = new ArrayList<>();

  final AtomicInteger resumes = new AtomicInteger();
  volatile OwnershipState ownership = OwnershipState.FETCHING;
  volatile @Nullable AbortReason refusal;

  /** Asked for as soon as the fault channel is there. */
  volatile List<PageRequest> requests = List.of();

  /** The connection is lost once, when so many pages are there. */
  volatile int cutAfter = Integer.MAX_VALUE;

  volatile boolean goodbye;
  private int landed;
  private int ended;
  private long endedPages;
  private int round = 7;
  private @Nullable PeerChannel control;

  ScriptedTarget(long pages) throws Exception {
    layout = new ImageLayout(List.of(new ImageLayout.Region("ram", pages)));
    digest = new ImageDigest(layout);
    stripe = digest.stripe();
    came = new int[(int) pages];
    address =
        acceptor.bind(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            channel -> {
              open.add(channel);
              Thread.ofVirtual().start(() -> greet(channel));
            });
  }

  InetSocketAddress address() {
    return address;
  }

  synchronized int[] came() {
    return came.clone();
  }

  synchronized List<Long> answered() {
    return List.copyOf(answered);
  }

  /** One connection ends, and no other. */
  void drop(ChannelRole role) {
    Objects.requireNonNull(latest.get(role)).close();
  }

  private void greet(PeerChannel channel) {
    try {
      Hello hello = (Hello) channel.receive(LIMIT);
      latest.put(hello.role(), channel);
      channel.send(new Welcome(1, Capabilities.CURRENT, Limits.CURRENT, "test-target"));
      if (hello.role() == ChannelRole.CONTROL) {
        converse(channel);
      } else {
        channel.listen(new Landing(hello.role(), resumes.get()));
        if (hello.role() == ChannelRole.FAULT) {
          requests.forEach(channel::send);
        }
      }
    } catch (Exception e) {
      channel.close();
    }
  }

  private void converse(PeerChannel channel) throws Exception {
    while (true) {
      Message message = channel.receive(LIMIT);
      switch (message) {
        case OwnershipQuery query -> channel.send(new Ownership(query.migration(), ownership));
        case Resume resume -> resume(channel, resume);
        case DigestValue theirs -> {
          Digest ours = digest.value();
          boolean equal = ours.equals(new Digest(theirs.high(), theirs.low()));
          channel.send(
              new Settled(
                  ours.high(),
                  ours.low(),
                  equal ? Comparison.EQUAL : Comparison.DIFFERENT,
                  1,
                  0,
                  0,
                  0,
                  0,
                  1000,
                  1000,
                  1000,
                  0,
                  0));
        }
        case Goodbye _ -> goodbye = true;
        default -> throw new IllegalStateException("unexpected " + message);
      }
    }
  }

  private synchronized void resume(PeerChannel channel, Resume resume) {
    resumes.incrementAndGet();
    AbortReason why = refusal;
    if (why != null) {
      channel.send(new Abort(why, "the script says so"));
      return;
    }
    control = channel;
    ended = 0;
    endedPages = 0;
    channel.send(
        new Resumed(
            resume.migration(),
            round++,
            List.of(new byte[Hello.TOKEN_BYTES]),
            new byte[Hello.TOKEN_BYTES]));
    List<PageSpan> spans = new ArrayList<>();
    for (int page = 0; page < came.length; page++) {
      if (came[page] == 0) {
        spans.add(new PageSpan(page, 1));
      }
    }
    channel.send(new Missing(0, false, spans));
    channel.send(new Missing(0, true, List.of()));
  }

  private synchronized void came(ChannelRole role, long page) {
    came[(int) page]++;
    landed++;
    if (role == ChannelRole.FAULT) {
      answered.add(page);
    }
    if (landed >= cutAfter) {
      cutAfter = Integer.MAX_VALUE;
      open.forEach(channel -> Thread.ofVirtual().start(channel::close));
    }
  }

  private synchronized void roundEnded(RoundEnd end) {
    ended++;
    endedPages += end.pages();
    PeerChannel channel = control;
    if (ended == 2 && channel != null) {
      channel.send(new RoundLanded(end.round(), endedPages));
    }
  }

  private final class Landing implements FrameListener, PageSink {
    private final ChannelRole role;

    /** The connection's number: what a lost one still brings does not land. */
    private final int connection;

    private final PageDecoder decoder =
        new PageDecoder(layout, PooledByteBufAllocator.DEFAULT, Capabilities.CURRENT);

    private Landing(ChannelRole role, int connection) {
      this.role = role;
      this.connection = connection;
    }

    private boolean isLost() {
      return connection != resumes.get();
    }

    @Override
    public void onFrame(PeerChannel channel, Frame frame) throws Exception {
      try {
        if (frame.type() == FrameType.PAGES) {
          decoder.decode(frame.payload(), this);
        } else if (!isLost()) {
          roundEnded((RoundEnd) MessageCodec.decode(frame.type(), frame.payload()));
        }
      } finally {
        frame.release();
      }
    }

    @Override
    public void zero(int ofRound, int region, long firstPage, long count) {
      synchronized (ScriptedTarget.this) {
        if (isLost()) {
          return;
        }
        stripe.zero(region, firstPage, count);
        for (long page = firstPage; page < firstPage + count; page++) {
          came(role, page);
        }
      }
    }

    @Override
    public void pages(int ofRound, int region, long firstPage, ByteBuf data) {
      synchronized (ScriptedTarget.this) {
        if (isLost()) {
          return;
        }
        stripe.pages(region, firstPage, data);
        for (int page = 0; page < data.readableBytes() / 4096; page++) {
          came(role, firstPage + page);
        }
      }
    }

    @Override
    public void onClosed(PeerChannel channel, @Nullable Throwable cause) {}
  }

  @Override
  public void close() {
    acceptor.close();
  }
}
