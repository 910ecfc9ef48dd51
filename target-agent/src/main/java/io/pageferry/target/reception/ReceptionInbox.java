package io.pageferry.target.reception;

import java.time.Duration;
import java.util.List;
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

  /** Guarded by this. */
  private boolean closed;

  /** Returns false when nobody will take it any more. */
  synchronized boolean put(ReceptionEvent event) {
    return !closed && events.add(event);
  }

  /** Nobody takes from here any more; those that came too late to be answered. */
  synchronized List<ReceptionEvent.ResumeAsked> close() {
    closed = true;
    return events.stream()
        .filter(ReceptionEvent.ResumeAsked.class::isInstance)
        .map(ReceptionEvent.ResumeAsked.class::cast)
        .toList();
  }

  /** Removes what came of a connection. */
  void forgetLink() {
    events.removeIf(ReceptionEvent.OfLink.class::isInstance);
  }

  /** The next event, or null when none came in time. */
  @Nullable ReceptionEvent take(Duration limit) throws InterruptedException {
    return events.poll(Math.max(0, limit.toNanos()), TimeUnit.NANOSECONDS);
  }
}
