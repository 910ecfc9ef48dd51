package io.pageferry.source;

import io.pageferry.guest.control.GuestControl;
import java.io.IOException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/**
 * The paused guest writes its device state down, on a thread of its own, while its last pages are
 * on their way. Made before the guest is paused, so that beginning costs it nothing else.
 *
 * <p>Threading: the guest's control belongs to that thread from {@link #begin} until {@link #await}
 * or {@link #close} has returned; nobody else may use it meanwhile. All are for the driver.
 */
final class DeviceStateSaving implements AutoCloseable {
  private final FutureTask<byte[]> task;
  private final Thread thread;

  DeviceStateSaving(GuestControl control) {
    task = new FutureTask<>(control::saveDeviceState);
    thread = Thread.ofPlatform().name("device-state").daemon().unstarted(task);
  }

  /** The guest stands still. */
  void begin() {
    thread.start();
  }

  /**
   * The guest's state.
   *
   * @throws IOException if the guest did not give it
   */
  byte[] await() throws IOException, InterruptedException {
    try {
      return task.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException io) {
        throw io;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  /** Gives up on what is not done; returns when the guest's control is the driver's again. */
  @Override
  public void close() {
    // Also when it is done already: then it has no effect.
    task.cancel(true);
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
