package io.pageferry.protocol.channel;

import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.FrameType;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.function.IntUnaryOperator;
import org.jspecify.annotations.NullMarked;
import org.jspecify.annotations.Nullable;

/**
 * Counts frames and remembers whether each was what {@link Wire#frame} makes; may wait before each,
 * or fail.
 */
@NullMarked
final class CollectingListener implements FrameListener {
  private final CountDownLatch gate;
  // All guarded by this.
  private final List<Integer> lengths = new ArrayList<>();
  private boolean allIntact = true;
  private int closed;
  private @Nullable Throwable cause;
  private @Nullable Exception failure;

  CollectingListener() {
    this(new CountDownLatch(0));
  }

  CollectingListener(CountDownLatch gate) {
    this.gate = gate;
  }

  synchronized void failWith(Exception exception) {
    failure = exception;
  }

  @Override
  public void onFrame(PeerChannel channel, Frame frame) throws Exception {
    try {
      gate.await();
      synchronized (this) {
        int length = frame.payload().readableBytes();
        allIntact &=
            frame.type() == FrameType.PAGES
                && Wire.isIntact(frame.payload(), lengths.size(), length);
        lengths.add(length);
        if (failure != null) {
          throw failure;
        }
      }
    } finally {
      frame.release();
    }
  }

  @Override
  public synchronized void onClosed(PeerChannel channel, @Nullable Throwable why) {
    closed++;
    cause = why;
  }

  synchronized int frames() {
    return lengths.size();
  }

  synchronized int closed() {
    return closed;
  }

  synchronized @Nullable Throwable cause() {
    return cause;
  }

  /** Whether every frame had its own content and the length of its number. */
  synchronized boolean intact(IntUnaryOperator length) {
    for (int i = 0; i < lengths.size(); i++) {
      if (lengths.get(i) != length.applyAsInt(i)) {
        return false;
      }
    }
    return allIntact;
  }
}
