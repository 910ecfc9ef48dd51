package io.pageferry.target.reception;

import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Where everything that concerns one reception meets, in the order in which it happened: its driver
 * thread takes from here and from nowhere else, so it alone decides.
 *
 * <p>Bounded by its senders: the control channel's pump waits for each message to be taken (see
 * {@link ControlPump}), a data channel reports a round's end or its own end.
 */
final class ReceptionInbox {
  private final BlockingQueue<ReceptionEvent> events = new LinkedBlockingQueue<>();

  void put(ReceptionEvent event) {
    events.add(event);
  }

  /** The next event, or null when none came in time. */
  @Nullable ReceptionEvent take(Duration limit) throws InterruptedException {
    return events.poll(Math.max(0, limit.toNanos()), TimeUnit.NANOSECONDS);
  }
}
