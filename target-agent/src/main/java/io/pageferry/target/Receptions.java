package io.pageferry.target;

import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.reception.Arrival;
import io.pageferry.target.reception.Reception;
import io.pageferry.target.reception.Retake;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * The migrations this agent is receiving: one at a time for each guest, so many in all. Any thread;
 * guarded by its own monitor.
 */
public final class Receptions {
  private final int limit;
  private final Map<UUID, Arrival> running = new HashMap<>();
  private boolean stopping;

  Receptions(int limit) {
    this.limit = limit;
  }

  /**
   * Starts a reception on a thread of its own.
   *
   * @throws MigrationAborted BUSY when this guest is already being received or no more fit
   */
  synchronized void start(Reception reception) throws MigrationAborted {
    if (stopping) {
      throw new MigrationAborted(AbortReason.SHUTTING_DOWN, "the target agent is being stopped");
    }
    if (running.containsKey(reception.migration())) {
      throw new MigrationAborted(
          AbortReason.PROTOCOL_VIOLATION, "this migration is running already");
    }
    for (Arrival other : running.values()) {
      if (other.guestName().equals(reception.guestName())) {
        throw new MigrationAborted(
            AbortReason.BUSY,
            "the target is receiving the guest '" + reception.guestName() + "' already");
      }
    }
    if (running.size() >= limit) {
      throw new MigrationAborted(
          AbortReason.BUSY,
          "the target is receiving "
              + running.size()
              + " guests already, and takes no more at a time");
    }
    launch(reception);
  }

  /**
   * Takes up again what runs here already: no limit can refuse that.
   *
   * @return false if somebody looks after it already, or this agent is being stopped; nothing was
   *     started then
   */
  synchronized boolean start(Retake retake) {
    if (stopping || running.containsKey(retake.migration())) {
      return false;
    }
    launch(retake);
    return true;
  }

  private void launch(Arrival arrival) {
    running.put(arrival.migration(), arrival);
    Thread.ofPlatform().name("reception-" + arrival.guestName()).start(() -> run(arrival));
  }

  private void run(Arrival first) {
    try {
      for (Arrival present = first; present != null; present = present.successor()) {
        succeed(present);
        present.run();
      }
    } finally {
      synchronized (this) {
        running.remove(first.migration());
        notifyAll();
      }
    }
  }

  private synchronized void succeed(Arrival present) {
    if (running.put(present.migration(), present) != present && stopping) {
      present.stop();
    }
  }

  /** The one of that migration, while it runs. */
  public synchronized Optional<Arrival> find(UUID migration) {
    return Optional.ofNullable(running.get(migration));
  }

  synchronized List<Arrival> all() {
    return new ArrayList<>(running.values());
  }

  /** Ends all that can be ended, takes no more, and waits for the rest. */
  synchronized void stop(Duration limit) throws InterruptedException {
    stopping = true;
    running.values().forEach(Arrival::stop);
    long deadline = System.nanoTime() + limit.toNanos();
    while (!running.isEmpty() && System.nanoTime() - deadline < 0) {
      wait(Math.max(1, (deadline - System.nanoTime()) / 1_000_000));
    }
  }
}
