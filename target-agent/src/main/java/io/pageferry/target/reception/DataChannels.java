package io.pageferry.target.reception;

import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Welcome;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.protocol.page.PageDecoder;
import io.pageferry.target.MigrationAborted;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * The data channels of one migration and what they share: the image they land in, its running
 * digest, the round they are in. Opened by the driver when the guest is admitted; channels join by
 * token from other threads; closed by the driver. Guarded by its own monitor.
 */
final class DataChannels implements AutoCloseable {
  private final GuestImage image;
  private final ImageLayout layout;
  private final Capabilities capabilities;
  private final ReceptionInbox inbox;
  private final LandedPages landed;
  private final JoinTokens tokens;
  private final RoundBarrier barrier;
  private final ImageDigest digest;
  private final int granted;
  private final List<PeerChannel> channels = new ArrayList<>();
  private final List<PageLanding> landings = new ArrayList<>();
  private boolean closed;

  DataChannels(
      int granted,
      GuestImage image,
      ImageLayout layout,
      Capabilities capabilities,
      TargetConversation conversation,
      PeerIdentity source,
      Duration joinLimit,
      ReceptionInbox inbox,
      LandedPages landed) {
    this.granted = granted;
    this.image = image;
    this.layout = layout;
    this.capabilities = capabilities;
    this.inbox = inbox;
    this.landed = landed;
    this.tokens = new JoinTokens(granted, source, joinLimit);
    this.barrier = new RoundBarrier(conversation, inbox);
    this.digest = new ImageDigest(layout);
  }

  /** One for each channel, for ACCEPTED. */
  List<byte[]> tokens() {
    return tokens.issued();
  }

  /**
   * Takes a channel in: from here on its pages land.
   *
   * @throws MigrationAborted BAD_TOKEN; the migration itself goes on
   */
  synchronized void join(PeerChannel channel, Hello hello, Welcome welcome)
      throws MigrationAborted {
    if (closed) {
      throw JoinTokens.refused();
    }
    tokens.redeem(hello.channelIndex(), hello.token(), channel.peer());
    PageLanding landing =
        new PageLanding(
            hello.channelIndex(),
            image,
            new PageDecoder(layout, channel.allocator(), capabilities),
            digest.stripe(),
            barrier,
            landed,
            inbox);
    channels.add(channel);
    landings.add(landing);
    channel.send(welcome);
    channel.listen(landing);
  }

  /** Whether every channel that was granted is there. */
  synchronized boolean complete() {
    return channels.size() == granted;
  }

  /**
   * The last round has landed: nothing is written any more, and a channel that ends now ends no
   * migration.
   */
  synchronized void settle() {
    landings.forEach(PageLanding::detach);
  }

  /** The running digest; exact after {@link #settle}. */
  synchronized Digest digest() {
    return digest.value();
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      settle();
      // Closing waits for the peer: not here, and not for one after the other.
      channels.forEach(channel -> Thread.ofVirtual().start(channel::close));
      digest.close();
    }
  }
}
