package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.pageferry.guest.control.PrivateFolder;
import io.pageferry.guest.fault.FaultService;
import io.pageferry.guest.fault.FaultSink;
import io.pageferry.guest.fault.MissingPages;
import io.pageferry.guest.handover.GuestRegion;
import io.pageferry.guest.handover.GuestSideHandover;
import io.pageferry.guest.handover.HandoverListener;
import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.handover.MappedRegion;
import io.pageferry.guest.linux.MemoryMapping;
import io.pageferry.guest.linux.MemoryTouch;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.protocol.page.PageDecoder;
import io.pageferry.protocol.page.PageEncoder;
import io.pageferry.protocol.page.PageRehearsal;
import io.pageferry.protocol.page.PageRuns;
import io.pageferry.protocol.page.PageSink;
import io.pageferry.protocol.page.PageTally;
import io.pageferry.target.MigrationAborted;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Serves the page faults of some memory of this process's own once, before it counts: a guest that
 * has just been started stands still at its first fault until this process has run all of that code
 * for the first time.
 *
 * <p>The thread that faults does so in native code, so this process can go on meanwhile.
 */
final class FaultRehearsal {
  private static final Logger LOG = LoggerFactory.getLogger(FaultRehearsal.class);
  private static final int PAGES = 64;
  private static final long BYTES = PAGES * (long) PageBatch.PAGE_BYTES;
  private static final Duration LIMIT = Duration.ofSeconds(5);
  private static boolean done;

  private FaultRehearsal() {}

  /** Has an effect once in the life of the process. Any thread. */
  static synchronized void run() throws InterruptedException {
    if (done || !PageRehearsal.wanted()) {
      return;
    }
    done = true;
    ImageLayout layout = new ImageLayout(List.of(new ImageLayout.Region("rehearsal", PAGES)));
    try (PrivateFolder folder = PrivateFolder.open();
        ImageDigest sent = new ImageDigest(layout);
        LandingPlace place = new LandingPlace(layout, null)) {
      MemoryMapping memory = MemoryMapping.anonymous(BYTES);
      Thread toucher =
          Thread.ofPlatform().daemon().name("fault-rehearsal").unstarted(() -> touch(memory));
      try {
        rehearse(folder, memory, toucher, place, sent.stripe());
      } finally {
        // Memory that somebody may still be touching stays.
        if (toucher.getState() == Thread.State.NEW || toucher.join(LIMIT)) {
          memory.close();
        }
      }
    } catch (IOException | MigrationAborted e) {
      // Only the first faults are slower then.
      LOG.debug("the faults are not rehearsed", e);
    }
  }

  private static void rehearse(
      PrivateFolder folder,
      MemoryMapping memory,
      Thread toucher,
      LandingPlace place,
      ImageDigest.Stripe sent)
      throws IOException, InterruptedException {
    Path socket = folder.resolve("faults.sock");
    MissingPages missing = MissingPages.create(folder.resolve("missing"), List.of((long) PAGES));
    missing.add(0, 0, PAGES);
    BlockingQueue<Long> asked = new LinkedBlockingQueue<>();
    try (HandoverListener listener = HandoverListener.bind(socket);
        // Closed before the memory is: whoever waits for a page then goes on without it.
        GuestSideHandover side =
            GuestSideHandover.start(
                socket,
                HandoverMode.MISSING,
                List.of(new MappedRegion(memory.address(), BYTES, 0, PageBatch.PAGE_BYTES)));
        FaultService faults =
            FaultService.start(
                listener.accept(LIMIT),
                List.of(new GuestRegion("rehearsal", BYTES)),
                missing,
                new Asked(asked))) {
      LOG.trace("{}", side);
      place.serveFaults(faults);
      toucher.start();
      land(place, asked, sent);
    }
  }

  private static void touch(MemoryMapping memory) {
    for (long at = 0; at < BYTES; at += PageBatch.PAGE_BYTES) {
      MemoryTouch.touch(memory.segment(), at);
    }
  }

  private static void land(LandingPlace place, BlockingQueue<Long> asked, ImageDigest.Stripe sent)
      throws IOException, InterruptedException {
    Berth berth = place.berth();
    Landing landing = new Landing(berth);
    PageDecoder decoder =
        new PageDecoder(place.layout(), ByteBufAllocator.DEFAULT, Capabilities.CURRENT);
    try (PageEncoder encoder = new PageEncoder(ByteBufAllocator.DEFAULT, true)) {
      for (int i = 0; i < PAGES; i++) {
        Long page = asked.poll(LIMIT.toMillis(), TimeUnit.MILLISECONDS);
        if (page == null) {
          return;
        }
        ByteBuf frame = frame(encoder, page, sent);
        try {
          decoder.decode(frame.skipBytes(FrameHeader.BYTES), landing);
          berth.flush();
        } finally {
          frame.release();
        }
      }
    }
  }

  /** One page on its own, sometimes one that packs well and sometimes one that does not. */
  private static ByteBuf frame(PageEncoder encoder, long page, ImageDigest.Stripe sent) {
    ByteBuf snapshot = encoder.snapshotBuffer(1);
    long state = page + 1;
    for (int i = 0; i < PageBatch.PAGE_BYTES / Long.BYTES; i++) {
      state = page % 2 == 0 ? page + 1 : state * 0x5851F42D4C957F2DL + 1;
      snapshot.writeLong(state);
    }
    return encoder.encode(1, PageRuns.of(0, page, 1), snapshot, sent, new PageTally());
  }

  /** As a landing channel does it, without a channel. */
  private record Landing(Berth berth) implements PageSink {
    @Override
    public void zero(int round, int region, long firstPage, long count) throws IOException {
      berth.zero(region, firstPage, count);
    }

    @Override
    public void pages(int round, int region, long firstPage, ByteBuf data) throws IOException {
      berth.pages(region, firstPage, data);
    }
  }

  /** Puts what is asked for where the landing thread finds it. */
  private record Asked(BlockingQueue<Long> pages) implements FaultSink {
    @Override
    public void request(int region, long[] numbers, int count) {
      for (int i = 0; i < count; i++) {
        pages.add(numbers[i]);
      }
    }

    @Override
    public void guestGone() {
      LOG.debug("this process has ended, says its watch");
    }

    @Override
    public void failed(IOException cause) {
      LOG.debug("the faults are not rehearsed", cause);
    }
  }
}
