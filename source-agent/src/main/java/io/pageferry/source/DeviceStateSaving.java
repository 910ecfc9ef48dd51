package io.pageferry.source;

import io.pageferry.agent.process.ThreadEnd;
import io.pageferry.guest.control.GuestControl;
import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import org.jspecify.annotations.Nullable;

/**
 * The paused guest writes its device state down, on a thread of its own, while its last pages are
 * on their way. Made before the guest is paused, so that beginning costs it nothing else. The state
 * goes to the target as soon as it is here, and whether it was whole turns out while it is loaded
 * there.
 *
 * <p>Threading: the guest's control belongs to that thread from {@link #begin} until {@link
 * #confirm} or {@link #close} has returned; nobody else may use it meanwhile. All are for the
 * driver.
 */
final class DeviceStateSaving implements AutoCloseable {
  private final CompletableFuture<byte[]> state = new CompletableFuture<>();
  private final FutureTask<@Nullable Void> task;
  private final Thread thread;

  DeviceStateSaving(GuestControl control) {
    task =
        new FutureTask<>(
            () -> {
              try {
                control.saveDeviceState(state::complete);
              } catch (Exception | Error e) {
                state.completeExceptionally(e);
                throw e;
              }
              return null;
            });
    thread = Thread.ofPlatform().name("device-state").daemon().unstarted(task);
  }

  /** The guest stands still. */
  void begin() {
    thread.start();
  }

  /**
   * The guest's state; nothing may be made of it that cannot be undone before {@link #confirm}.
   *
   * @throws IOException if the guest did not give it
   */
  byte[] await() throws IOException, InterruptedException {
    return get(state);
  }

  /**
   * Returns when the guest has said that this was all.
   *
   * @throws IOException if it says otherwise
   */
  void confirm() throws IOException, InterruptedException {
    get(task);
  }

  private static <T extends @Nullable Object> T get(Future<T> result)
      throws IOException, InterruptedException {
    try {
      return result.get();
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
    ThreadEnd.await(thread);
  }
}
