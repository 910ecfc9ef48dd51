package io.pageferry.guest.demo;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Gives every page its first generation. Pages that are to be zero stay holes. The pages are
 * written through the files: touching fresh memory of a mapping costs more than twice as much.
 */
final class MemoryFill {
  private static final int CHUNK_PAGES = 256;

  private final GuestMemory memory;
  private final Registers registers;
  private final PageContent content;

  MemoryFill(GuestMemory memory, Registers registers, PageContent content) {
    this.memory = memory;
    this.registers = registers;
    this.content = content;
  }

  /** Fills with up to {@code threads} threads and returns when all is written. */
  void run(int threads) throws IOException, InterruptedException {
    AtomicLong nextChunk = new AtomicLong();
    AtomicReference<Throwable> failure = new AtomicReference<>();
    Thread[] workers = new Thread[threads];
    for (int i = 0; i < threads; i++) {
      workers[i] =
          Thread.ofPlatform()
              .name("fill-" + i)
              .start(
                  () -> {
                    try {
                      fillChunks(nextChunk, failure);
                    } catch (IOException | RuntimeException | Error e) {
                      failure.compareAndSet(null, e);
                    }
                  });
    }
    for (Thread worker : workers) {
      worker.join();
    }
    Throwable failed = failure.get();
    if (failed != null) {
      throw new IOException("the memory cannot be filled: " + failed.getMessage(), failed);
    }
  }

  private void fillChunks(AtomicLong nextChunk, AtomicReference<Throwable> failure)
      throws IOException {
    ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK_PAGES * PageFormat.BYTES + 8);
    ByteBuffer aligned = buffer.alignedSlice(8);
    MemorySegment pages = MemorySegment.ofBuffer(aligned);
    while (failure.get() == null) {
      long first = nextChunk.getAndIncrement() * CHUNK_PAGES;
      if (first >= memory.pages()) {
        return;
      }
      long end = Math.min(first + CHUNK_PAGES, memory.pages());
      long runStart = first;
      for (long page = first; page < end; page++) {
        boolean zero = zero(page);
        if (zero || (page > runStart && memory.regionOf(page) != memory.regionOf(runStart))) {
          flush(aligned, runStart, page);
          runStart = zero ? page + 1 : page;
        }
        if (!zero) {
          content.write(
              pages,
              (page - runStart) * PageFormat.BYTES,
              page,
              1,
              registers.pattern.kind(registers.seed, page, 1));
        }
      }
      flush(aligned, runStart, end);
    }
  }

  private void flush(ByteBuffer pages, long first, long end) throws IOException {
    if (end > first) {
      pages.clear().limit((int) (end - first) * PageFormat.BYTES);
      memory.write(first, pages);
    }
  }

  private boolean zero(long page) {
    return registers.workingSet.indexOf(page) >= 0
        ? registers.pattern.zero(registers.seed, page, 1)
        : registers.pattern.zeroForEver(registers.seed, page);
  }
}
