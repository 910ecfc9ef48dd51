package io.pageferry.protocol.channel;

import io.netty.channel.IoEvent;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A descriptor of somebody else's on an event loop: what becomes readable there is served by the
 * loop's thread, beside its channels. The descriptor is neither read nor closed here.
 *
 * <p>Any thread may cancel; everything else happens on the event loop.
 */
@SuppressWarnings("FutureReturnValueIgnored") // the listener is what looks at the registration
final class DescriptorWatch implements EpollIoHandle {
  private static final Logger LOG = LoggerFactory.getLogger(DescriptorWatch.class);

  private final FileDescriptor descriptor;
  private final BooleanSupplier readable;
  private final Runnable ended;
  private final AtomicBoolean over = new AtomicBoolean();

  // Event loop only.
  private @Nullable IoRegistration registration;
  private boolean cancelled;

  /**
   * @param readable serves what can be read; false if it should not be called again
   * @param ended the loop no longer knows the descriptor; called once
   */
  DescriptorWatch(int descriptor, BooleanSupplier readable, Runnable ended) {
    this.descriptor = new FileDescriptor(descriptor);
    this.readable = readable;
    this.ended = ended;
  }

  /** Whether this kind of loop can do that. */
  static boolean possibleOn(IoEventLoop loop) {
    return loop.isCompatible(EpollIoHandle.class);
  }

  /** Any thread. */
  void begin(IoEventLoop loop) {
    loop.register(this)
        .addListener(
            done -> {
              if (!done.isSuccess()) {
                LOG.debug("the event loop does not take a descriptor", done.cause());
                end();
                return;
              }
              registration = (IoRegistration) done.getNow();
              if (cancelled) {
                registration.cancel();
              } else {
                registration.submit(EpollIoOps.EPOLLIN);
              }
            });
  }

  /** Any thread. */
  void cancel(IoEventLoop loop) {
    try {
      loop.execute(this::cancel);
    } catch (RejectedExecutionException e) {
      // It has ended, and closed everything that it watched.
      end();
    }
  }

  private void cancel() {
    cancelled = true;
    if (registration != null) {
      registration.cancel();
    }
  }

  @Override
  public FileDescriptor fd() {
    return descriptor;
  }

  @Override
  public void handle(IoRegistration served, IoEvent event) {
    if (!cancelled && !readable.getAsBoolean()) {
      cancel();
    }
  }

  @Override
  public void unregistered() {
    end();
  }

  @Override
  public void close() {
    cancel();
  }

  private void end() {
    if (over.compareAndSet(false, true)) {
      ended.run();
    }
  }
}
