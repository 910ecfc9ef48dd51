package io.pageferry.target.reception;

import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Welcome;
import io.pageferry.protocol.page.PageDecoder;
import io.pageferry.target.MigrationAborted;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The data channels of one connection to the source, the fault channel that may be among them, and
 * what they share: the place where their pages land, the round they are in. Opened by the driver;
 * channels join by token from other threads; closed by the driver. Guarded by its own monitor.
 */
final class PageChannels implements AutoCloseable {
  private final int granted;
  private final LandingPlace place;
  private final Capabilities capabilities;
  private final LinkEvents events;
  private final LandedPages landed;
  private final JoinTokens tokens;
  private final @Nullable JoinTokens faultTokens;
  private final RoundBarrier barrier;
  private final List<PeerChannel> channels = new ArrayList<>();
  private final List<PeerChannel> data = new ArrayList<>();
  private final List<PageLanding> landings = new ArrayList<>();
  private final TargetConversation conversation;
  private @Nullable RequestChannel requests;
  private boolean closed;

  /**
   * @param granted how many data channels may join
   * @param faults whether a fault channel may join as well, and must before the guest's faults can
   *     be served
   */
  PageChannels(
      int granted,
      boolean faults,
      LandingPlace place,
      Capabilities capabilities,
      TargetConversation conversation,
      PeerIdentity source,
      Duration joinLimit,
      LinkEvents events,
      LandedPages landed) {
    this.granted = granted;
    this.place = place;
    this.capabilities = capabilities;
    this.events = events;
    this.landed = landed;
    this.tokens = new JoinTokens(granted, source, joinLimit);
    this.faultTokens = faults ? new JoinTokens(1, source, joinLimit) : null;
    this.conversation = conversation;
    this.barrier = new RoundBarrier(conversation, events);
  }

  /** One for each data channel. */
  List<byte[]> tokens() {
    return tokens.issued();
  }

  /** The fault channel's; null when none may join. */
  byte @Nullable [] faultToken() {
    return faultTokens == null ? null : faultTokens.issued().getFirst();
  }

  /**
   * Takes a channel in: from here on its pages land.
   *
   * @throws MigrationAborted BAD_TOKEN; the migration itself goes on
   */
  synchronized void join(PeerChannel channel, Hello hello, Welcome welcome)
      throws MigrationAborted {
    boolean fault = hello.role() == ChannelRole.FAULT;
    JoinTokens asked = fault ? faultTokens : tokens;
    if (closed || asked == null) {
      throw JoinTokens.refused();
    }
    asked.redeem(hello.channelIndex(), hello.token(), channel.peer());
    // The fault channel counts as the one after the last data channel.
    int index = fault ? granted : hello.channelIndex();
    PageLanding landing =
        new PageLanding(
            index,
            granted,
            fault ? "the fault channel" : "data channel " + index,
            place.berth(),
            new PageDecoder(place.layout(), channel.allocator(), capabilities),
            barrier,
            landed,
            events);
    channels.add(channel);
    landings.add(landing);
    if (fault) {
      channel.urgent();
      requests = new RequestChannel(channel, conversation);
    } else {
      data.add(channel);
    }
    channel.send(welcome);
    channel.listen(landing);
    if (complete()) {
      events.put(new ReceptionEvent.ChannelsComplete());
    }
  }

  /** Whether every channel that was granted is there. */
  synchronized boolean complete() {
    return channels.size() == granted + (faultTokens == null ? 0 : 1);
  }

  /** Where pages can be asked for; null as long as it has not joined. */
  synchronized @Nullable RequestChannel requests() {
    return requests;
  }

  /**
   * What comes from here on lands where the place says now: in a guest that may be waiting for it.
   */
  synchronized void moveIn() {
    data.forEach(PeerChannel::keepUnreadSmall);
    landings.forEach(landing -> landing.moveTo(place.berth()));
  }

  /**
   * Everything has landed: nothing is written any more, and a channel that ends now ends no
   * migration.
   */
  synchronized void settle() {
    landings.forEach(PageLanding::detach);
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      settle();
      // Closing waits for the peer: not here, and not for one after the other.
      channels.forEach(channel -> Thread.ofVirtual().start(channel::close));
    }
  }
}
