package io.pageferry.target.reception;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/**
 * What loading the device state and starting took for each guest when it last came here, so that
 * the source can take it out of its downtime budget beforehand. Any thread.
 */
public final class StartCosts {
  private final ConcurrentMap<String, Long> micros = new ConcurrentHashMap<>();

  /** 0 when the guest has not come here since this agent started. */
  long of(String guest) {
    return micros.getOrDefault(guest, 0L);
  }

  void remember(String guest, long cost) {
    micros.put(guest, cost);
  }
}
