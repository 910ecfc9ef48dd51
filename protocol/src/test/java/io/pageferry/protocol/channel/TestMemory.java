package io.pageferry.protocol.channel;

import static org.awaitility.Awaitility.await;

import io.netty.buffer.PooledByteBufAllocator;
import org.jspecify.annotations.NullMarked;

/**
 * Direct memory in use by the channels of this process, and by the frames that {@link Wire#frame}
 * makes.
 */
@NullMarked
final class TestMemory {
  private TestMemory() {}

  /** Waits until the channels of earlier tests have given back what they had. */
  static void awaitNone() {
    await().atMost(Wire.SOON).until(() -> pinned() == 0);
  }

  /** Bytes handed out and not yet released, without what thread caches keep ready. */
  static long pinned() {
    return ((PooledByteBufAllocator) PeerPipeline.ALLOCATOR).pinnedDirectMemory();
  }
}
