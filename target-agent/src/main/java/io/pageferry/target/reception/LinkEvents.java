package io.pageferry.target.reception;

/**
 * Where one connection to the source reports what happens on it. Once the driver has let go of the
 * connection, nothing of it reaches the inbox any more and nothing of it lies there: what comes
 * next is of the next connection.
 *
 * <p>Any thread; guarded by its own monitor.
 */
final class LinkEvents {
  private final ReceptionInbox inbox;
  private boolean closed;

  LinkEvents(ReceptionInbox inbox) {
    this.inbox = inbox;
  }

  synchronized void put(ReceptionEvent.OfLink event) {
    if (!closed) {
      inbox.put(event);
    }
  }

  synchronized void close() {
    if (!closed) {
      closed = true;
      inbox.forgetLink();
    }
  }
}
