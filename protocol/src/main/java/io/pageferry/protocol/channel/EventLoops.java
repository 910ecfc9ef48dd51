package io.pageferry.protocol.channel;

import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelPromise;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.EventExecutor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Event loops that give each channel one of its own for as long as there are enough, instead of
 * taking them in turn. A loop is held up for milliseconds while it lands a batch of pages; the
 * urgent channel of a post-copy must not wait for that, so once a channel is known to be urgent no
 * other joins it.
 *
 * <p>Any thread; guarded by its own monitor.
 */
@SuppressWarnings("FutureReturnValueIgnored") // a close future's listener is not looked back at
final class EventLoops extends MultiThreadIoEventLoopGroup {
  private static final Comparator<Occupation> EMPTIEST =
      Comparator.<Occupation>comparingInt(place -> place.urgent)
          .thenComparingInt(place -> place.channels);

  /** What runs on one loop. Guarded by the group. */
  private static final class Occupation {
    private final EventLoop loop;
    private final AnswerWatch watch;
    private int channels;
    private int urgent;

    Occupation(EventLoop loop, AnswerWatch watch) {
      this.loop = loop;
      this.watch = watch;
    }
  }

  private final List<Occupation> places = new ArrayList<>();
  private final ThreadUrgency urgency;

  /**
   * @param threads started as needed
   * @param name of the threads, in front of a number
   * @param urgency for as long as a thread has an urgent channel
   */
  EventLoops(int threads, String name, Transport transport, ThreadUrgency urgency) {
    this(threads, name, transport, urgency, new ArrayList<>());
  }

  private EventLoops(
      int threads,
      String name,
      Transport transport,
      ThreadUrgency urgency,
      List<AnswerWatch> watches) {
    super(
        threads,
        new DefaultThreadFactory(name, true),
        transport.ioHandlerFactory(() -> added(new AnswerWatch(), watches)));
    this.urgency = urgency;
    // Made one after the other with their loops; io_uring makes none.
    int made = 0;
    for (EventExecutor loop : this) {
      AnswerWatch watch = made < watches.size() ? watches.get(made) : new AnswerWatch();
      places.add(new Occupation((EventLoop) loop, watch));
      made++;
    }
  }

  private static AnswerWatch added(AnswerWatch watch, List<AnswerWatch> watches) {
    watches.add(watch);
    return watch;
  }

  @Override
  public ChannelFuture register(Channel channel) {
    return occupy(channel).register(channel);
  }

  @Override
  public ChannelFuture register(ChannelPromise promise) {
    return occupy(promise.channel()).register(promise);
  }

  private synchronized EventLoop occupy(Channel channel) {
    Occupation place = places.stream().min(EMPTIEST).orElseThrow();
    place.channels++;
    channel.closeFuture().addListener(closed -> leave(place));
    return place.loop;
  }

  private synchronized void leave(Occupation place) {
    place.channels--;
  }

  /** What keeps this channel's loop awake; of no effect where the transport has no such thing. */
  static AnswerWatch watchOf(Channel channel) {
    return channel.eventLoop().parent() instanceof EventLoops loops
        ? loops.watchOf(channel.eventLoop())
        : new AnswerWatch();
  }

  private AnswerWatch watchOf(EventLoop loop) {
    return places.stream().filter(place -> place.loop.equals(loop)).findAny().orElseThrow().watch;
  }

  /** From now on other channels go elsewhere than to this channel's loop, until it is closed. */
  static void reserve(Channel urgent) {
    if (urgent.eventLoop().parent() instanceof EventLoops loops) {
      loops.reservePlace(urgent);
    }
  }

  private synchronized void reservePlace(Channel channel) {
    for (Occupation place : places) {
      if (place.loop.equals(channel.eventLoop())) {
        place.urgent++;
        place.loop.execute(() -> hurry(place));
        channel.closeFuture().addListener(closed -> free(place));
      }
    }
  }

  /**
   * On the loop. Not where the channel is gone by now, nor beside others, which were there before
   * when there were more channels than loops: what they carry is no more urgent than a guest.
   */
  private synchronized void hurry(Occupation place) {
    if (place.urgent > 0 && place.urgent == place.channels) {
      urgency.begin();
    }
  }

  /** On the loop, as every close future's listener. */
  private synchronized void free(Occupation place) {
    place.urgent--;
    if (place.urgent == 0) {
      urgency.end();
    }
  }
}
