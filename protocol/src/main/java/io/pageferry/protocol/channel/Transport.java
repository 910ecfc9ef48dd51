package io.pageferry.protocol.channel;

import io.netty.channel.IoHandlerFactory;
import io.netty.channel.SelectStrategyFactory;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.channel.uring.IoUring;
import io.netty.channel.uring.IoUringIoHandler;
import io.netty.channel.uring.IoUringServerSocketChannel;
import io.netty.channel.uring.IoUringSocketChannel;
import java.nio.channels.spi.SelectorProvider;
import java.util.Locale;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How sockets are driven. Anything but {@link #AUTO} is forced: where it does not work, starting
 * fails.
 */
public enum Transport {
  /** epoll where its native library loads, else NIO. io_uring is used only when asked for. */
  AUTO,
  /** Linux io_uring (some container engines block it). */
  IO_URING,
  /** Linux epoll, edge-triggered, through Netty's native library. */
  EPOLL,
  /** The JDK's selector: works everywhere. */
  NIO;

  private static final Logger LOG = LoggerFactory.getLogger(Transport.class);

  /** Whether this transport works on this machine; {@link #AUTO} always does. */
  public boolean available() {
    return switch (this) {
      case AUTO, NIO -> true;
      case EPOLL -> Epoll.isAvailable();
      case IO_URING -> IoUring.isAvailable();
    };
  }

  /**
   * The transport that will really be used: this one, or for {@link #AUTO} the best one that works
   * here.
   *
   * @throws IllegalStateException if a forced transport does not work here; the message is one
   *     sentence
   */
  public Transport resolve() {
    if (this == AUTO) {
      Transport chosen = EPOLL.available() ? EPOLL : NIO;
      LOG.debug("transport {}", chosen.optionName());
      return chosen;
    }
    if (!available()) {
      throw new IllegalStateException(
          "transport " + optionName() + " does not work on this machine: " + unavailability());
    }
    return this;
  }

  /**
   * The name as on the command line: {@code io-uring}, {@code epoll}, {@code nio}, {@code auto}.
   */
  public String optionName() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  private String unavailability() {
    Throwable cause =
        switch (this) {
          case EPOLL -> Epoll.unavailabilityCause();
          case IO_URING -> IoUring.unavailabilityCause();
          case AUTO, NIO -> null;
        };
    if (cause == null) {
      return "unknown reason";
    }
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return String.valueOf(cause.getMessage());
  }

  /**
   * What drives event loops.
   *
   * @param strategies one for each loop, in their order; not used by io_uring
   */
  IoHandlerFactory ioHandlerFactory(SelectStrategyFactory strategies) {
    return switch (this) {
      case AUTO -> resolve().ioHandlerFactory(strategies);
      case IO_URING -> IoUringIoHandler.newFactory();
      case EPOLL -> EpollIoHandler.newFactory(0, strategies);
      case NIO -> NioIoHandler.newFactory(SelectorProvider.provider(), strategies);
    };
  }

  Class<? extends SocketChannel> socketChannel() {
    return switch (this) {
      case AUTO -> resolve().socketChannel();
      case IO_URING -> IoUringSocketChannel.class;
      case EPOLL -> EpollSocketChannel.class;
      case NIO -> NioSocketChannel.class;
    };
  }

  Class<? extends ServerChannel> serverChannel() {
    return switch (this) {
      case AUTO -> resolve().serverChannel();
      case IO_URING -> IoUringServerSocketChannel.class;
      case EPOLL -> EpollServerSocketChannel.class;
      case NIO -> NioServerSocketChannel.class;
    };
  }
}
