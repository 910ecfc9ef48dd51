package io.pageferry.source;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.page.ReferredPages;
import org.jspecify.annotations.Nullable;

/**
 * A piece on its way: which pages, their snapshot, and which of them the target was asked to look
 * for. It waits with its snapshot for the answer, so that what is sent then is what was hashed.
 *
 * <p>Reused; owned by one sender.
 */
final class OfferedPiece {
  final RoundWork.Piece piece = new RoundWork.Piece();
  final ReferredPages referred = new ReferredPages();

  /** What reading its pages took. */
  long readNanos;

  private @Nullable ByteBuf snapshot;

  void keep(ByteBuf pages) {
    snapshot = pages;
  }

  /** The snapshot, which is the caller's from here on. */
  ByteBuf take() {
    ByteBuf pages = snapshot;
    if (pages == null) {
      throw new IllegalStateException("no snapshot is kept");
    }
    snapshot = null;
    return pages;
  }

  /** Lets go of the snapshot if it is still here. */
  void release() {
    if (snapshot != null) {
      take().release();
    }
  }
}
