package io.pageferry.target.reception;

import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.message.Message;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries the control channel's messages into the inbox, on a virtual thread. At most {@value
 * #AHEAD} lie there untaken; beyond that the channel itself stops reading, so a peer that floods
 * the control channel waits like any other.
 */
final class ControlPump implements Runnable {
  private static final Logger LOG = LoggerFactory.getLogger(ControlPump.class);
  private static final int AHEAD = 16;
  private static final Duration LOOK_AGAIN = Duration.ofMinutes(1);

  private final PeerChannel control;
  private final LinkEvents events;
  private final Semaphore room = new Semaphore(AHEAD);

  ControlPump(PeerChannel control, LinkEvents events) {
    this.control = control;
    this.events = events;
  }

  /**
   * Nobody takes messages any more: a pump that waits for room goes on, to find its channel closed.
   */
  void stop() {
    room.release(AHEAD);
  }

  /** The driver has taken one message. */
  void taken() {
    room.release();
  }

  @Override
  public void run() {
    try {
      while (true) {
        room.acquire();
        Message message = receive();
        events.put(new ReceptionEvent.FromSource(message, System.nanoTime()));
      }
    } catch (IOException e) {
      events.put(new ReceptionEvent.ControlLost(e));
    } catch (InterruptedException e) {
      events.put(new ReceptionEvent.ControlLost(e));
      Thread.currentThread().interrupt();
    }
  }

  private Message receive() throws IOException, InterruptedException {
    while (true) {
      try {
        return control.receive(LOOK_AGAIN);
      } catch (TimeoutException e) {
        // Whether the peer lives is the keep-alive's business; how long it may think is the
        // driver's.
        LOG.trace("nothing from {}", control.peer().name());
      }
    }
  }
}
