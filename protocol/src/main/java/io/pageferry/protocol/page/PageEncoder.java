package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.pageferry.protocol.frame.Crc32c;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.message.PageSpan;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Makes a frame of a snapshot of pages. For each stretch of pages it finds the encoding: zero pages
 * by a scan at memory speed, nothing but their names for those that the target still has from an
 * earlier time and only parts of those that it has in part ({@link KnownPages}), the difference
 * from what it has where that is short ({@link BaseCache}), a block where packing pays ({@link
 * CodecChoice}, {@link PageCompressor}), raw otherwise.
 *
 * <p>Where everything is one raw run, no page is copied: the headers are written in front of the
 * pages, into the snapshot's headroom, and the snapshot itself is the frame. Any other batch is put
 * together in a new buffer of exactly its size.
 *
 * <p>One for each data channel, used by one thread at a time. Holds about 1 MiB of direct memory if
 * it compresses, another one if it makes differences, half as much again if it finds out what the
 * target has, and no page between two calls.
 */
public final class PageEncoder implements AutoCloseable {
  private static final int PAGE = PageBatch.PAGE_BYTES;

  private static final ReferredPages NONE_REFERRED = new ReferredPages();

  private final ByteBufAllocator allocator;
  private final EncodingPlan plan = new EncodingPlan();
  private final ContentHash hash = new ContentHash();
  private final CodecChoice choice;

  /** Null if every page is to go as it is. */
  private final @Nullable PageCompressor compressor;

  private final boolean zeroRuns;
  private final @Nullable BaseCache bases;
  private final @Nullable DeltaEncoder deltas;
  private final @Nullable KnownPages known;
  private final @Nullable PartDigests digests;
  private final @Nullable PartsEncoder parts;

  /** Of the run that is planned, for each page, which of its parts the target lacks. */
  private final byte[] lacking = new byte[PageBatch.MAX_PAGES];

  private long lookingNanos;

  /**
   * An encoder for one channel that sends no differences.
   *
   * @param allocator of snapshots and frames; a pooled one, for they are large and short-lived
   * @param compress whether LZ4 may be used (the peer must have the capability)
   */
  public PageEncoder(ByteBufAllocator allocator, boolean compress) {
    this(
        allocator, new PageEncodings(true, Set.of(compress ? PageCodec.LZ4 : PageCodec.RAW), null));
  }

  /**
   * An encoder for one data channel.
   *
   * @param allocator of snapshots and frames; a pooled one, for they are large and short-lived
   * @param encodings what may be used
   */
  public PageEncoder(ByteBufAllocator allocator, PageEncodings encodings) {
    this.allocator = allocator;
    zeroRuns = encodings.zeroRuns();
    bases = encodings.bases();
    known = encodings.known();
    digests = known == null ? null : known.digests();
    Set<PageCodec> codecs = encodings.codecs();
    choice = new CodecChoice(codecs, encodings.slowLink());
    PageCompressor packing = null;
    DeltaEncoder differing = null;
    try {
      if (!codecs.equals(Set.of(PageCodec.RAW))) {
        packing = new PageCompressor(allocator, codecs, encodings.slowLink());
      }
      if (bases != null) {
        differing = new DeltaEncoder(allocator, packing == null ? null : packing.lz4());
      }
      parts = known == null ? null : new PartsEncoder(allocator, packing);
    } catch (RuntimeException | OutOfMemoryError e) {
      // Nobody else would give back what there is by now.
      if (packing != null) {
        packing.close();
      }
      if (differing != null) {
        differing.close();
      }
      throw e;
    }
    compressor = packing;
    deltas = differing;
  }

  /**
   * A direct buffer for so many pages, to be filled from {@link PageBatch#HEADROOM}, where reader
   * and writer index stand. The caller owns it until it is encoded.
   *
   * @param pages 1 to {@link PageBatch#MAX_PAGES}
   */
  public ByteBuf snapshotBuffer(int pages) {
    checkPages(pages);
    int bytes = PageBatch.HEADROOM + pages * PAGE;
    return allocator.directBuffer(bytes, bytes).setIndex(PageBatch.HEADROOM, PageBatch.HEADROOM);
  }

  /**
   * Makes one complete frame, header included.
   *
   * @param round the round it belongs to
   * @param runs which pages; ascending, not overlapping
   * @param snapshot from {@link #snapshotBuffer}: the contents of the runs one after the other.
   *     Ownership passes, also if this fails
   * @param digest is told of each page what goes out
   * @param tally is told how they went
   * @return at most {@link FrameHeader#BYTES} + {@link FrameHeader#MAX_PAYLOAD} bytes; the caller
   *     owns and releases it
   */
  public ByteBuf encode(
      int round, PageRuns runs, ByteBuf snapshot, ImageDigest.Stripe digest, PageTally tally) {
    return Objects.requireNonNull(encode(round, runs, snapshot, NONE_REFERRED, digest, tally));
  }

  /**
   * The same of pages some of which were offered by {@link #refer}: what was found is there and is
   * only counted, what is to wait is left out.
   *
   * @param referred what became of them; by their places in the snapshot
   * @return null if nothing is left to be sent
   */
  public @Nullable ByteBuf encode(
      int round,
      PageRuns runs,
      ByteBuf snapshot,
      ReferredPages referred,
      ImageDigest.Stripe digest,
      PageTally tally) {
    try {
      checkPages(runs.pages());
      plan(runs, snapshot, referred, digest, tally);
      if (plan.runs() == 0) {
        snapshot.release();
        return null;
      }
      ByteBuf frame =
          plan.isSingleRawRun()
              ? inPlace(round, runs.region(), snapshot)
              : gathered(round, runs.region(), snapshot);
      plan.count(tally);
      tally.frame(frame.readableBytes());
      return frame;
    } catch (RuntimeException | OutOfMemoryError e) {
      snapshot.release();
      throw e;
    }
  }

  /**
   * Makes one complete frame of the digests of pages that go neither as zeros nor by name nor as a
   * difference, for the target to look for their content.
   *
   * @param round the round it belongs to
   * @param runs which pages; ascending, not overlapping
   * @param snapshot from {@link #snapshotBuffer}: the contents of the runs one after the other; it
   *     stays the caller's, to be encoded when the answer is there
   * @param referred receives which pages these are
   * @param tally is told of the frame
   * @return the caller owns and releases it; null if there is no such page
   */
  public @Nullable ByteBuf refer(
      int round, PageRuns runs, ByteBuf snapshot, ReferredPages referred, PageTally tally) {
    checkPages(runs.pages());
    referred.clear();
    ByteBuf frame =
        allocator.directBuffer(
            FrameHeader.BYTES
                + PageBatch.BATCH_HEADER_BYTES
                + runs.pages() * (PageBatch.RUN_HEADER_BYTES + ContentHash.BYTES));
    try {
      int written = writeReferences(runs, snapshot, referred, frame);
      if (written == 0) {
        frame.release();
        return null;
      }
      int payload = frame.writerIndex() - FrameHeader.BYTES;
      finish(frame, 0, round, runs.region(), written, payload);
      tally.frame(frame.readableBytes());
      return frame;
    } catch (RuntimeException e) {
      frame.release();
      throw e;
    }
  }

  private int writeReferences(
      PageRuns runs, ByteBuf snapshot, ReferredPages referred, ByteBuf frame) {
    ByteBuffer memory = snapshot.nioBuffer(0, PageBatch.HEADROOM + runs.pages() * PAGE);
    MemorySegment segment = MemorySegment.ofBuffer(memory);
    frame.writerIndex(FrameHeader.BYTES + PageBatch.BATCH_HEADER_BYTES);
    int written = 0;
    int place = 0;
    for (int run = 0; run < runs.runs(); run++) {
      int header = 0;
      int joined = 0;
      for (int i = 0; i < runs.count(run); i++, place++) {
        long page = runs.firstPage(run) + i;
        int at = PageBatch.HEADROOM + place * PAGE;
        if (!isWorthReferring(runs.region(), page, memory, segment, at)) {
          joined = 0;
          continue;
        }
        if (joined == 0) {
          header = frame.writerIndex();
          frame.writeZero(PageBatch.RUN_HEADER_BYTES);
          written++;
        }
        joined++;
        frame.writeBytes(hash.of(memory, at), 0, ContentHash.BYTES);
        referred.add(place);
        PageBatch.writeRunHeader(
            frame,
            header,
            page - joined + 1,
            joined,
            PageEncoding.REFERENCE,
            joined * ContentHash.BYTES);
      }
    }
    return written;
  }

  private boolean isWorthReferring(
      int region, long page, ByteBuffer memory, MemorySegment segment, int at) {
    return !ZeroPages.isZero(segment, at, PAGE)
        && (bases == null || !bases.remembers(region, page))
        && lacking(region, page, memory, at) == PageParts.ALL;
  }

  private int lacking(int region, long page, ByteBuffer memory, int at) {
    if (known == null || digests == null || known.resting()) {
      return PageParts.ALL;
    }
    long begin = System.nanoTime();
    int missing = known.lacking(region, page, digests, memory, at);
    lookingNanos += System.nanoTime() - begin;
    return missing;
  }

  /** What looking at what the target still has took since this was asked last. */
  public long takeLookingNanos() {
    long nanos = lookingNanos;
    lookingNanos = 0;
    return nanos;
  }

  /**
   * Makes one complete frame of pages that are known to be zero, such as holes of the image; no
   * byte is read. The digest is not told: it needs to be only if one of these pages was sent with
   * content before.
   *
   * @param spans 1 to {@link PageBatch#MAX_RUNS}, ascending, not overlapping, each of at most 2^32
   *     - 1 pages
   * @return the caller owns and releases it
   */
  public ByteBuf encodeZero(int round, int region, List<PageSpan> spans, PageTally tally) {
    if (spans.isEmpty() || spans.size() > PageBatch.MAX_RUNS) {
      throw new IllegalArgumentException(spans.size() + " spans");
    }
    long next = 0;
    for (PageSpan span : spans) {
      if (span.firstPage() < next || span.count() > PageBatch.MAX_RUN_PAGES) {
        throw new IllegalArgumentException(span + " after page " + next);
      }
      next = span.endPage();
    }
    int payload = PageBatch.BATCH_HEADER_BYTES + spans.size() * PageBatch.RUN_HEADER_BYTES;
    ByteBuf frame = allocator.directBuffer(FrameHeader.BYTES + payload);
    int at = FrameHeader.BYTES + PageBatch.BATCH_HEADER_BYTES;
    for (PageSpan span : spans) {
      PageBatch.writeRunHeader(frame, at, span.firstPage(), span.count(), PageEncoding.ZERO, 0);
      at += PageBatch.RUN_HEADER_BYTES;
      tally.zero(span.count());
      if (bases != null) {
        bases.forget(region, span.firstPage(), span.count());
      }
    }
    finish(frame, 0, round, region, spans.size(), payload);
    tally.frame(frame.readableBytes());
    return frame;
  }

  /**
   * Tells what became of the last frame of {@link #encode}, for the choice among the codecs.
   *
   * @param bytes its length, and that of all that went out since the one before
   * @param workNanos what reading and encoding its pages took
   * @param waitNanos what it took until the link had all of that, and answers to it were here
   */
  public void delivered(long bytes, long workNanos, long waitNanos) {
    choice.delivered(bytes, workNanos, waitNanos);
  }

  /** Gives the encoder's own memory back; frames that it made are not touched. */
  @Override
  public void close() {
    if (compressor != null) {
      compressor.close();
    }
    if (deltas != null) {
      deltas.close();
    }
    if (parts != null) {
      parts.close();
    }
  }

  private void plan(
      PageRuns runs,
      ByteBuf snapshot,
      ReferredPages referred,
      ImageDigest.Stripe digest,
      PageTally tally) {
    plan.clear();
    if (compressor != null) {
      compressor.begin();
    }
    if (deltas != null) {
      deltas.begin();
    }
    if (parts != null) {
      parts.begin();
    }
    ByteBuffer memory = snapshot.nioBuffer(0, PageBatch.HEADROOM + runs.pages() * PAGE);
    MemorySegment segment = MemorySegment.ofBuffer(memory);
    int offset = PageBatch.HEADROOM;
    long next = 0;
    for (int run = 0; run < runs.runs(); run++) {
      long first = runs.firstPage(run);
      int count = runs.count(run);
      if (first < next || count < 1 || count > (memory.limit() - offset) / PAGE) {
        throw new IllegalArgumentException(count + " pages from " + first + " after " + next);
      }
      planRun(runs.region(), first, count, offset, memory, segment, referred, digest, tally);
      offset += count * PAGE;
      next = first + count;
    }
    if (offset != memory.limit()) {
      throw new IllegalArgumentException("the runs have fewer pages than they say");
    }
    digest.publish();
  }

  /** Splits one run into zero pages, pages that go as differences, and stretches of others. */
  private void planRun(
      int region,
      long first,
      int count,
      int offset,
      ByteBuffer memory,
      MemorySegment segment,
      ReferredPages referred,
      ImageDigest.Stripe digest,
      PageTally tally) {
    int contentBegin = 0;
    for (int i = 0; i < count; i++) {
      int at = offset + i * PAGE;
      int place = (at - PageBatch.HEADROOM) / PAGE;
      boolean found = referred.held(place);
      if (found || referred.coming(place)) {
        if (found) {
          digest.page(region, first + i, segment, at);
          tally.deduplicated(1);
          if (bases != null) {
            bases.forget(region, first + i, 1);
          }
        }
        planStretch(first, contentBegin, i, offset, memory, tally);
        contentBegin = i + 1;
        continue;
      }
      lacking[i] = (byte) PageParts.ALL;
      if (ZeroPages.isZero(segment, at, PAGE)) {
        digest.zeroPage(region, first + i);
        if (bases != null) {
          bases.forget(region, first + i, 1);
        }
        if (zeroRuns) {
          planStretch(first, contentBegin, i, offset, memory, tally);
          plan.zero(first + i, 1);
          contentBegin = i + 1;
        }
        continue;
      }
      long hash = digest.page(region, first + i, segment, at);
      int missing = lacking(region, first + i, memory, at);
      if (missing != PageParts.ALL) {
        lacking[i] = (byte) missing;
        if (bases != null) {
          bases.forget(region, first + i, 1);
        }
        continue;
      }
      if (bases != null && deltas != null && bases.active()) {
        int begin = deltas.end();
        int bytes = bases.resend(region, first + i, segment, memory, at, hash, deltas, tally);
        if (bytes > 0) {
          planStretch(first, contentBegin, i, offset, memory, tally);
          plan.delta(first + i, begin, bytes);
          contentBegin = i + 1;
        }
      }
    }
    planStretch(first, contentBegin, count, offset, memory, tally);
  }

  /**
   * Splits a stretch with content by what the target has of it: what it has goes by name, what it
   * lacks as a whole as content. From a page that it has in part to the last such page behind it
   * all is one run, so that what follows is packed together.
   *
   * @param first the number of the page at 0
   */
  private void planStretch(
      long first, int begin, int end, int offset, ByteBuffer memory, PageTally tally) {
    if (parts == null) {
      planContent(first + begin, end - begin, offset + begin * PAGE, memory);
      return;
    }
    for (int at = begin; at < end; ) {
      int kind = lacking[at];
      int stop = at + 1;
      if (isWhole(kind)) {
        while (stop < end && lacking[stop] == kind) {
          stop++;
        }
        if (kind == 0) {
          plan.known(first + at, stop - at);
        } else {
          planContent(first + at, stop - at, offset + at * PAGE, memory);
        }
      } else {
        int most = Math.min(choice.codec().blockPages(), PageBatch.MAX_PARTS_PAGES);
        for (int page = stop; page < Math.min(end, at + most); page++) {
          stop = isWhole(lacking[page]) ? stop : page + 1;
        }
        planParts(parts, first, at, stop, offset, memory, tally);
      }
      at = stop;
    }
  }

  /** Whether the target has all of a page, or nothing. */
  private static boolean isWhole(int missing) {
    return missing == 0 || missing == (byte) PageParts.ALL;
  }

  private void planParts(
      PartsEncoder writing,
      long first,
      int begin,
      int end,
      int offset,
      ByteBuffer memory,
      PageTally tally) {
    int at = writing.end();
    int bytes =
        writing.write(
            choice.codec(), memory, offset + begin * PAGE, lacking, begin, end - begin, choice);
    plan.parts(first + begin, end - begin, at, bytes);
    tally.parts(PageBatch.RUN_HEADER_BYTES + bytes);
    for (int page = begin; page < end; page++) {
      if (lacking[page] == 0) {
        tally.known(1);
      } else if (lacking[page] != (byte) PageParts.ALL) {
        tally.partlyKnown(1);
      } else {
        countWhole(writing.lastCodec(), tally);
      }
    }
    sampleIfDue(true, writing.lastParts(), 0, writing.lastPages());
  }

  private static void countWhole(PageCodec codec, PageTally tally) {
    switch (codec) {
      case RAW -> tally.raw(1);
      case LZ4 -> tally.lz4(1);
      case ZSTD -> tally.zstd(1);
    }
  }

  /** Splits a stretch with content into blocks, as far as they pay, and raw runs. */
  private void planContent(long first, int count, int offset, ByteBuffer memory) {
    if (count == 0) {
      return;
    }
    PageCodec codec = choice.codec();
    if (compressor == null || codec == PageCodec.RAW) {
      plan.raw(first, count, offset);
      choice.packed((long) count * PAGE, (long) count * PAGE, 0);
    } else {
      pack(compressor, codec, first, count, offset, memory);
    }
    sampleIfDue(false, memory, offset, count);
  }

  private void sampleIfDue(boolean parts, ByteBuffer content, int at, int pages) {
    PageCodec due = choice.due();
    if (compressor != null && due != null && !due.isBeingLinked() && pages > 0) {
      int some = Math.min(CodecChoice.SAMPLE_PAGES, pages);
      long begin = System.nanoTime();
      int left = compressor.sample(due, parts, content, at, some);
      choice.sampled(due, (long) some * PAGE, left, System.nanoTime() - begin);
    }
  }

  private void pack(
      PageCompressor packing,
      PageCodec codec,
      long first,
      int count,
      int offset,
      ByteBuffer memory) {
    long begin = System.nanoTime();
    long left = 0;
    for (int done = 0; done < count; ) {
      int some = Math.min(codec.blockPages(), count - done);
      int at = offset + done * PAGE;
      int blockBegin = packing.end();
      int block = packing.pack(codec, memory, at, some);
      if (block > 0) {
        plan.block(codec.encoding(), first + done, some, blockBegin, block);
        left += block;
      } else {
        plan.raw(first + done, some, at);
        left += (long) some * PAGE;
      }
      done += some;
    }
    choice.packed((long) count * PAGE, left, System.nanoTime() - begin);
  }

  private ByteBuf inPlace(int round, int region, ByteBuf snapshot) {
    int begin = PageBatch.HEADROOM - PageBatch.SINGLE_RUN_HEADERS;
    PageBatch.writeRunHeader(
        snapshot,
        PageBatch.HEADROOM - PageBatch.RUN_HEADER_BYTES,
        plan.firstPage(0),
        plan.pages(0),
        PageEncoding.RAW,
        plan.length(0));
    finish(snapshot, begin, round, region, 1, plan.payloadBytes());
    return snapshot;
  }

  private ByteBuf gathered(int round, int region, ByteBuf snapshot) {
    int payload = plan.payloadBytes();
    ByteBuf frame = allocator.directBuffer(FrameHeader.BYTES + payload);
    plan.write(
        frame,
        FrameHeader.BYTES + PageBatch.BATCH_HEADER_BYTES,
        snapshot,
        compressor == null ? Unpooled.EMPTY_BUFFER : compressor.blocks(),
        deltas == null ? Unpooled.EMPTY_BUFFER : deltas.differences(),
        parts == null ? Unpooled.EMPTY_BUFFER : parts.runs());
    finish(frame, 0, round, region, plan.runs(), payload);
    snapshot.release();
    return frame;
  }

  /** Writes batch header and frame header around runs that are in place. */
  private static void finish(
      ByteBuf frame, int begin, int round, int region, int runs, int payload) {
    int payloadBegin = begin + FrameHeader.BYTES;
    PageBatch.writeHeader(frame, payloadBegin, round, region, runs);
    int crc = Crc32c.of(frame, payloadBegin, payload);
    FrameHeader.write(frame, begin, FrameType.PAGES, payload, crc);
    frame.setIndex(begin, payloadBegin + payload);
  }

  private static void checkPages(int pages) {
    if (pages < 1 || pages > PageBatch.MAX_PAGES) {
      throw new IllegalArgumentException(pages + " pages in one batch");
    }
  }
}
