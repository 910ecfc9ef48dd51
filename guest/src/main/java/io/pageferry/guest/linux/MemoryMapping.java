package io.pageferry.guest.linux;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A mapping in this process. Any thread may use the segment; once closed, every access through it
 * fails with an {@link IllegalStateException} instead of reaching other memory.
 */
public final class MemoryMapping implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final MemorySegment segment;

  MemoryMapping(long address, long bytes) {
    segment =
        MemorySegment.ofAddress(address)
            .reinterpret(bytes, arena, gone -> LinuxCalls.munmap(gone.address(), bytes));
  }

  /** Private memory that belongs to nobody else, page-aligned and zero. */
  public static MemoryMapping anonymous(long bytes) throws LinuxException {
    int protection = Abi.PROT_READ | Abi.PROT_WRITE;
    int flags = Abi.MAP_PRIVATE | Abi.MAP_ANONYMOUS;
    long address =
        LinuxCalls.check(LinuxCalls.mmap(bytes, protection, flags, -1, 0), "mmap(anonymous)");
    return new MemoryMapping(address, bytes);
  }

  public MemorySegment segment() {
    return segment;
  }

  public long address() {
    return segment.address();
  }

  public long bytes() {
    return segment.byteSize();
  }

  /**
   * Lets the kernel map the range at once, instead of page by page as it is touched.
   *
   * <p>In a hole this <em>allocates</em>. Only a hint: where the kernel cannot, touching still
   * works.
   */
  public void populate(long offset, long length) {
    int ignored = LinuxCalls.madvise(segment.address() + offset, length, Abi.MADV_POPULATE_READ);
    assert ignored <= 0;
  }

  /** Takes the range out of this process's page tables; a shared file keeps its content. */
  public void forget(long offset, long length) throws LinuxException {
    LinuxCalls.check(
        LinuxCalls.madvise(segment.address() + offset, length, Abi.MADV_DONTNEED),
        "madvise(DONTNEED)");
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
