package io.pageferry.guest.fault;

import java.io.IOException;

/** Where faults go that this host cannot serve. Nothing here may block. */
public interface FaultSink {
  /**
   * Asks the source for pages; each is asked for once, until {@link FaultService#repeatRequests}.
   * Without a connection to the source do nothing, and call that when there is one again.
   *
   * <p>Called by the fault reader, or by the caller of {@link FaultService#repeatRequests}.
   *
   * @param pages borrowed for the call
   * @param count how many of them, 1 to 512
   */
  void request(int region, long[] pages, int count);

  /**
   * A page that was asked for is there. Called by whoever landed it.
   *
   * @param nanos since its fault was read
   */
  default void served(long nanos) {}

  /** The guest's process has ended. Called once, by the fault reader, as its last act. */
  void guestGone();

  /**
   * Faults can no longer be served; threads of the guest that touch a missing page wait. Called
   * once, by the fault reader, as its last act.
   */
  void failed(IOException cause);
}
