package io.pageferry.guest.fault;

import io.pageferry.guest.linux.Descriptor;
import java.io.IOException;

/**
 * Faults read by somebody else's thread, one that waits for other things as well: whoever asks the
 * source for pages then does so without waking another thread first. As long as one is open the
 * service's own thread only looks after what needs looking after from time to time.
 *
 * <p>Any thread; {@link #serve} by one at a time waits for another's.
 */
public final class FaultWatch implements AutoCloseable {
  private final FaultReader reader;
  private final Descriptor descriptor;
  private final int number;
  private boolean closed;

  FaultWatch(FaultReader reader, Descriptor descriptor) throws IOException {
    this.reader = reader;
    this.descriptor = descriptor;
    this.number = descriptor.hold();
    reader.watched(true);
  }

  /**
   * To be waited on until it can be read from; not to be read from. Stays open until this closes.
   */
  public int descriptor() {
    return number;
  }

  /**
   * Serves what is queued, as the service's own thread would; does not wait for more. The sink is
   * called by this thread.
   *
   * @return false if there is nothing to be served any more, or it failed; the service says so
   */
  public boolean serve() {
    return reader.serveQueued();
  }

  /** Leaves the faults to the service again. Once more: no effect. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      reader.watched(false);
      descriptor.letGo();
    }
  }
}
