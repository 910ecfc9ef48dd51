package io.pageferry.protocol.channel;

import io.netty.channel.Channel;
import io.netty.channel.ChannelException;
import io.netty.channel.ChannelOption;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.unix.IntegerUnixChannelOption;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the kernel is asked for so that urgent bytes wait for as few others as possible. All of it
 * helps and none of it is needed: what a transport or network does not know is left out.
 */
final class SocketUrgency {
  private static final Logger LOG = LoggerFactory.getLogger(SocketUrgency.class);

  /**
   * Low delay. Linux derives the packets' priority in this host's queues from it as well, also
   * where the option below cannot be set.
   */
  static final int LOW_DELAY = 0x10;

  private static final int SOL_SOCKET = 1;
  private static final int SO_PRIORITY = 12;
  private static final int IPPROTO_TCP = 6;
  private static final int TCP_NOTSENT_LOWAT = 25;

  /** The highest priority that needs no privilege. */
  static final int INTERACTIVE = 6;

  static final ChannelOption<Integer> PRIORITY =
      new IntegerUnixChannelOption("SO_PRIORITY", SOL_SOCKET, SO_PRIORITY);

  static final ChannelOption<Integer> UNSENT =
      new IntegerUnixChannelOption("TCP_NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT);

  /** What a bulk channel may hold back in the kernel, and as much again in this process. */
  static final int SMALL_UNSENT = 128 << 10;

  /** What a bulk channel may leave unread; the kernel doubles it for its own overhead. */
  static final int SMALL_UNREAD = 128 << 10;

  /** A round trip as short as this is filled by {@link #SMALL_UNREAD} at a gigabit a second. */
  private static final int NEAR_MICROS = 1000;

  private static final WriteBufferWaterMark SMALL_MARK =
      new WriteBufferWaterMark(SMALL_UNSENT / 2, SMALL_UNSENT);

  private SocketUrgency() {}

  /** The packets of this channel go before others, here and where the network heeds it. */
  static void first(Channel channel) {
    set(channel, ChannelOption.IP_TOS, LOW_DELAY);
    set(channel, PRIORITY, INTERACTIVE);
  }

  /** Bytes wait with the sender, who can still choose others, rather than behind him. */
  static void keepUnsentSmall(Channel channel) {
    set(channel, UNSENT, SMALL_UNSENT);
    set(channel, ChannelOption.WRITE_BUFFER_WATER_MARK, SMALL_MARK);
  }

  /**
   * Little waits in the kernel to be read, so that the sender, who can still choose others, sees
   * how slow this side is. Over a long way much has to be on its way at any time: nothing is done
   * there, nor where the transport does not say how long it is.
   */
  static void keepUnreadSmall(Channel channel) {
    try {
      if (channel instanceof EpollSocketChannel tcp && tcp.tcpInfo().rtt() < NEAR_MICROS) {
        set(channel, ChannelOption.SO_RCVBUF, SMALL_UNREAD);
      }
    } catch (ChannelException e) {
      LOG.debug("{} does not tell its round trip", channel, e);
    }
  }

  private static <T> void set(Channel channel, ChannelOption<T> option, T value) {
    try {
      if (!channel.config().setOption(option, value)) {
        LOG.debug("{} has no {}", channel, option);
      }
    } catch (ChannelException e) {
      LOG.debug("{} does not take {} {}", channel, option, value, e);
    }
  }
}
