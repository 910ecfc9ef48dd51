package io.pageferry.protocol.channel;

import io.netty.buffer.PooledByteBufAllocator;
import org.jspecify.annotations.NullMarked;

/**
 * Direct memory in use by the channels of this process, and by the frames that {@link Wire#frame}
 * makes.
 */
@NullMarked
final class TestMemory {
  private TestMemory() {}

  /** Bytes handed out and not yet released, without what thread caches keep ready. */
  static long pinned() {
    return ((PooledByteBufAllocator) PeerPipeline.ALLOCATOR).pinnedDirectMemory();
  }
}
