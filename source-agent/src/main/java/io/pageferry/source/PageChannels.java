package io.pageferry.source;

import io.pageferry.protocol.channel.PeerChannel;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;

/**
 * The channels on which pages go to the target: one or more for data, and one for page faults if
 * post-copy was granted. There are all of them or none.
 *
 * <p>Immutable; {@link #close} by any thread.
 */
final class PageChannels implements AutoCloseable {
  static final PageChannels NONE = new PageChannels(List.of(), null);

  private final List<PeerChannel> data;
  private final @Nullable PeerChannel fault;

  private PageChannels(List<PeerChannel> data, @Nullable PeerChannel fault) {
    this.data = List.copyOf(data);
    this.fault = fault;
  }

  /**
   * Opens all at once: each takes as long as three messages to the target and back. When one cannot
   * be had, or this thread is interrupted, those that are there are closed and those that still try
   * are given up.
   *
   * @param ordinary connects a data channel
   * @param urgent connects the fault channel; null for none
   */
  static PageChannels open(
      Callable<PeerChannel> ordinary, int dataChannels, @Nullable Callable<PeerChannel> urgent)
      throws IOException, InterruptedException {
    List<Future<PeerChannel>> opening = new ArrayList<>();
    // Left when there is a channel of each, or a reason; an interrupt ends those that still try.
    try (ExecutorService atOnce = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < dataChannels; i++) {
        opening.add(atOnce.submit(orNone(atOnce, ordinary)));
      }
      if (urgent != null) {
        opening.add(atOnce.submit(orNone(atOnce, urgent)));
      }
    } catch (RejectedExecutionException e) {
      // One of them has failed already.
    }
    List<PeerChannel> opened =
        opening.stream()
            .filter(each -> each.state() == Future.State.SUCCESS)
            .map(Future::resultNow)
            .toList();
    boolean all = opened.size() == dataChannels + (urgent == null ? 0 : 1);
    // Also when there are all of them: who is interrupted wants none.
    if (all && !Thread.currentThread().isInterrupted()) {
      return new PageChannels(
          opened.subList(0, dataChannels), urgent == null ? null : opened.getLast());
    }
    close(opened);
    throw reason(opening);
  }

  /**
   * Where one channel cannot be had the others are of no use, and may take long to fail as well.
   */
  private static Callable<PeerChannel> orNone(
      ExecutorService atOnce, Callable<PeerChannel> connecting) {
    return () -> {
      try {
        return connecting.call();
      } catch (Exception | Error e) {
        atOnce.shutdownNow();
        throw e;
      }
    };
  }

  /** That of one that failed: the others were only given up. */
  private static IOException reason(List<Future<PeerChannel>> opening) throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    for (Future<PeerChannel> each : opening) {
      if (each.state() == Future.State.FAILED
          && !(each.exceptionNow() instanceof InterruptedException)) {
        if (each.exceptionNow() instanceof IOException lost) {
          return lost;
        }
        throw new IllegalStateException(each.exceptionNow());
      }
    }
    throw new InterruptedException();
  }

  /** In the order in which the target granted them. */
  List<PeerChannel> data() {
    return data;
  }

  /** Only if post-copy was granted. */
  PeerChannel fault() {
    return Objects.requireNonNull(fault);
  }

  /** Returns at once. */
  @Override
  public void close() {
    close(data);
    if (fault != null) {
      close(List.of(fault));
    }
  }

  /**
   * Closing waits for the peer, for seconds where it takes nothing, and the guest may stand still
   * meanwhile: not for one channel after the other.
   */
  private static void close(List<PeerChannel> channels) {
    channels.forEach(channel -> Thread.ofVirtual().start(channel::close));
  }
}
