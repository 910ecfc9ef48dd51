package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.pageferry.agent.process.ThreadEnd;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerLostException;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.frame.FrameEncoder;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Recalled;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.protocol.page.PartDigests;
import io.pageferry.protocol.page.ZeroPages;
import io.pageferry.target.incoming.PopulatedPages;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells the source what this host still has of a guest, by digests, in the order in which the first
 * round comes and while it does.
 *
 * <p>Reading and hashing have a thread of their own, which begins when the source asks and is gone
 * when {@link #close} returns: nothing of the series comes behind the end of the first round, and
 * the image may be closed. What cannot be read is left out, and the source sends it.
 */
final class Recollection implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Recollection.class);
  private static final int PAGE = PageBatch.PAGE_BYTES;
  private static final int PAGES_AT_ONCE = 64;

  /** A gap that is not longer takes less than another message. */
  private static final int GAP = 4;

  private static final byte[] NOTHING = {};

  private final @Nullable GuestImage image;
  private final @Nullable PopulatedPages populated;
  private final @Nullable EarlierPages named;
  private final TargetConversation conversation;
  private final PeerChannel control;
  private @Nullable Thread thread;

  // Of the thread: what is not sent yet.
  private final byte[] digests = new byte[Recalled.MAX_PAGES * Recalled.DIGEST_BYTES];
  private int region;
  private long first;
  private int pages;
  private long pagesNamed;

  /** Guarded by this. */
  private boolean over;

  /**
   * @param image null if there is nothing of an earlier time; and so the next two
   * @param populated what may be worth naming
   * @param named is told what was
   */
  Recollection(
      @Nullable GuestImage image,
      @Nullable PopulatedPages populated,
      @Nullable EarlierPages named,
      TargetConversation conversation,
      PeerChannel control) {
    this.image = image;
    this.populated = populated;
    this.named = named;
    this.conversation = conversation;
    this.control = control;
  }

  /** The source has asked; of no effect where it asked too late. Driver thread. */
  void begin(byte[] salt) {
    synchronized (this) {
      if (over) {
        return;
      }
    }
    PartDigests digest = new PartDigests(salt);
    thread = Thread.ofPlatform().name("recollection").daemon().start(() -> tell(digest));
  }

  private void tell(PartDigests digest) {
    try {
      if (image != null && populated != null && named != null) {
        name(image, populated, named, digest);
      }
      flush(true);
      LOG.debug("{} pages of an earlier time were named", pagesNamed);
    } catch (InterruptedException e) {
      LOG.debug("the first round was faster; {} pages were named", pagesNamed);
    } catch (ProtocolException e) {
      LOG.debug("the conversation has gone on, or ended", e);
    } catch (PeerLostException e) {
      LOG.debug("the source is lost", e);
    }
  }

  private void name(GuestImage from, PopulatedPages worth, EarlierPages naming, PartDigests digest)
      throws InterruptedException, ProtocolException, PeerLostException {
    ByteBuf buffer = control.allocator().directBuffer(PAGES_AT_ONCE * PAGE);
    try {
      for (int number = 0; number < from.regions().size(); number++) {
        for (long page = worth.next(number, 0); page >= 0; ) {
          long end = worth.end(number, page);
          for (long at = page; at < end; at += PAGES_AT_ONCE) {
            requireWanted();
            int count = (int) Math.min(PAGES_AT_ONCE, end - at);
            ByteBuffer memory = buffer.nioBuffer(0, count * PAGE);
            from.read(number, at, memory.duplicate());
            for (int i = 0; i < count; i++) {
              if (!ZeroPages.isZero(buffer, i * PAGE, PAGE)) {
                naming.name(number, at + i);
                add(number, at + i, digest.of(memory, i * PAGE));
              }
            }
          }
          page = worth.next(number, end);
        }
      }
    } catch (IOException e) {
      if (e instanceof ProtocolException broken) {
        throw broken;
      }
      if (e instanceof PeerLostException lost) {
        throw lost;
      }
      LOG.warn("not all of what is here of an earlier time can be read: {}", e.getMessage());
    } finally {
      buffer.release();
    }
  }

  private synchronized void requireWanted() throws InterruptedException {
    if (over) {
      throw new InterruptedException();
    }
  }

  private void add(int number, long page, byte[] digest)
      throws InterruptedException, ProtocolException, PeerLostException {
    boolean joins = pages > 0 && number == region && page - (first + pages) <= GAP;
    if (!joins || page - first >= Recalled.MAX_PAGES) {
      flush(false);
      region = number;
      first = page;
    }
    int index = (int) (page - first);
    Arrays.fill(digests, pages * Recalled.DIGEST_BYTES, index * Recalled.DIGEST_BYTES, (byte) 0);
    System.arraycopy(digest, 0, digests, index * Recalled.DIGEST_BYTES, Recalled.DIGEST_BYTES);
    pages = index + 1;
    pagesNamed++;
  }

  private void flush(boolean last)
      throws InterruptedException, ProtocolException, PeerLostException {
    if (pages == 0 && !last) {
      return;
    }
    byte[] some = pages == 0 ? NOTHING : Arrays.copyOf(digests, pages * Recalled.DIGEST_BYTES);
    Recalled message = new Recalled(region, last, pages == 0 ? 0 : first, some);
    synchronized (this) {
      requireWanted();
      conversation.sent(message);
    }
    // Blocks while the source takes no more; it may be the first round that is then over.
    control.sendFrame(FrameEncoder.frame(message, control.allocator()));
    pages = 0;
  }

  /** Ends the series where it is; nothing of it is sent any more. Again: no effect. */
  @Override
  public void close() {
    synchronized (this) {
      over = true;
    }
    Thread telling = thread;
    if (telling == null) {
      return;
    }
    telling.interrupt();
    ThreadEnd.await(telling);
  }
}
