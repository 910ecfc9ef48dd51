package io.pageferry.target;

import io.pageferry.agent.cli.Version;
import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerLostException;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.Reclaim;
import io.pageferry.protocol.message.Resume;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import io.pageferry.target.reception.Arrival;
import io.pageferry.target.recovery.OwnershipDesk;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What happens to a new connection until it is known what it wants: HELLO and WELCOME, then an
 * offer, a data channel's place in its migration, or a question after a guest. Runs on a thread of
 * its own for each connection and blocks there.
 */
final class PeerGreeting implements Runnable {
  private static final Logger LOG = LoggerFactory.getLogger(PeerGreeting.class);

  /** A peer that has connected says what it wants at once. */
  private static final Duration FIRST_WORDS = Duration.ofSeconds(10);

  /** A source asks about one guest, and now and then once more; beyond this it is a defect. */
  private static final int QUESTIONS = 100;

  /** What an offer becomes. */
  interface Offers {
    void start(Offer offer, PeerChannel control, TargetConversation conversation, Capabilities both)
        throws MigrationAborted;
  }

  private final PeerChannel channel;
  private final Receptions receptions;
  private final OwnershipDesk desk;
  private final ControlPlaces places;
  private final Offers offers;

  /** Whether a reception has taken the channel over, which then closes it. */
  private boolean handedOn;

  PeerGreeting(
      PeerChannel channel,
      Receptions receptions,
      OwnershipDesk desk,
      ControlPlaces places,
      Offers offers) {
    this.channel = channel;
    this.receptions = receptions;
    this.desk = desk;
    this.places = places;
    this.offers = offers;
  }

  @Override
  public void run() {
    try {
      greet();
    } catch (MigrationAborted e) {
      refuse(e.reason(), e.sentence());
    } catch (ProtocolException e) {
      refuse(e.reason(), String.valueOf(e.getMessage()));
    } catch (TimeoutException e) {
      refuse(AbortReason.PEER_SILENT, "nothing was asked for in time");
    } catch (PeerLostException | PeerAbortedException e) {
      LOG.debug("{} went away: {}", channel.peer(), e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      if (!handedOn) {
        channel.close();
      }
    }
  }

  private void refuse(AbortReason reason, String sentence) {
    LOG.info(
        "{} is refused: {}",
        channel.peer().name() + " at " + channel.peer().hostAndPort(),
        sentence);
    channel.send(new Abort(reason, sentence));
  }

  private void greet()
      throws MigrationAborted,
          ProtocolException,
          PeerLostException,
          PeerAbortedException,
          TimeoutException,
          InterruptedException {
    Message first = channel.receive(FIRST_WORDS);
    if (!(first instanceof Hello hello)) {
      throw ProtocolException.violation(first.type() + " came where HELLO was due");
    }
    int version = VersionRange.CURRENT.choose(hello.versions());
    Capabilities both = Capabilities.CURRENT.intersect(hello.capabilities());
    Welcome welcome =
        new Welcome(
            version, Capabilities.CURRENT, Limits.CURRENT, "pageferry-target " + Version.number());
    switch (hello.role()) {
      case CONTROL -> {
        try (ControlPlaces.Place place = places.take(channel.peer())) {
          LOG.debug("{} has a control connection", place.certificate());
          converse(hello, welcome, both);
        }
      }
      case DATA, FAULT -> join(hello, welcome);
    }
  }

  private void join(Hello hello, Welcome welcome) throws MigrationAborted {
    Arrival arrival =
        receptions
            .find(hello.migration())
            .orElseThrow(
                () ->
                    new MigrationAborted(
                        AbortReason.BAD_TOKEN,
                        "the token of this data channel is not one that is good here and now"));
    arrival.join(channel, hello, welcome);
    handedOn = true;
  }

  private void converse(Hello hello, Welcome welcome, Capabilities both)
      throws MigrationAborted,
          ProtocolException,
          PeerLostException,
          PeerAbortedException,
          TimeoutException,
          InterruptedException {
    TargetConversation conversation = new TargetConversation();
    conversation.received(hello);
    say(conversation, welcome);
    UUID running = null;
    int questions = 0;
    while (true) {
      Message message = channel.receive(FIRST_WORDS);
      conversation.received(message);
      if ((message instanceof OwnershipQuery || message instanceof Reclaim)
          && ++questions > QUESTIONS) {
        throw new MigrationAborted(
            AbortReason.QUOTA, "more than " + QUESTIONS + " questions on one connection");
      }
      switch (message) {
        case Offer offer -> {
          offers.start(offer, channel, conversation, both);
          handedOn = true;
          return;
        }
        case OwnershipQuery query -> {
          OwnershipState state = desk.query(query.migration(), channel.peer());
          running = isSettled(state) ? query.migration() : null;
          say(conversation, new Ownership(query.migration(), state));
        }
        case Reclaim reclaim -> {
          OwnershipState state = desk.reclaim(reclaim.migration(), channel.peer());
          running = isSettled(state) ? reclaim.migration() : null;
          say(conversation, new Ownership(reclaim.migration(), state));
        }
        case Resume resume -> {
          resume(resume.migration(), conversation, both);
          return;
        }
        case Goodbye goodbye -> {
          if (running != null) {
            desk.confirm(running);
          }
          return;
        }
        default -> throw ProtocolException.violation(message.type() + " does not belong here");
      }
    }
  }

  /** A source that goes away with this answer will not ask again. */
  private static boolean isSettled(OwnershipState state) {
    return state == OwnershipState.TAKEN_OVER || state == OwnershipState.RUNNING;
  }

  private void resume(UUID migration, TargetConversation conversation, Capabilities both)
      throws MigrationAborted {
    desk.authoriseResume(migration, channel.peer());
    Arrival arrival =
        receptions
            .find(migration)
            .filter(Arrival::resumable)
            .orElseThrow(
                () ->
                    new MigrationAborted(
                        AbortReason.BUSY,
                        "the target is taking its guest up again: try again in a moment"));
    arrival.resume(channel, conversation, both);
    handedOn = true;
  }

  private void say(TargetConversation conversation, Message message) throws ProtocolException {
    conversation.sent(message);
    channel.send(message);
  }
}
