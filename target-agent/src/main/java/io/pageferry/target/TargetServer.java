package io.pageferry.target;

import io.micrometer.core.instrument.MeterRegistry;
import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.local.MigrationStatus;
import io.pageferry.protocol.channel.PeerAcceptor;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.Transport;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Offer;
import io.pageferry.target.admission.GuestFolder;
import io.pageferry.target.admission.Preflight;
import io.pageferry.target.content.SharedContents;
import io.pageferry.target.reception.Arrival;
import io.pageferry.target.reception.Reception;
import io.pageferry.target.reception.ReceptionMeters;
import io.pageferry.target.reception.Retake;
import io.pageferry.target.reception.StartCosts;
import io.pageferry.target.recovery.OwnershipDesk;
import io.pageferry.target.recovery.Unfinished;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.slf4j.Logger;

/**
 * Takes in peers: each connection is greeted on a virtual thread, each migration becomes a {@link
 * Reception} with a thread of its own, and pages are landed by the event loops of their data
 * channels. Any thread.
 */
public final class TargetServer implements AutoCloseable {
  /** Enough for a guest to be started and its source told. */
  private static final Duration STOPPING = Duration.ofSeconds(30);

  private final TargetSettings settings;
  private final Logger story;
  private final Receptions receptions;
  private final OwnershipDesk desk;
  private final ControlPlaces places = new ControlPlaces();
  private final Preflight preflight;
  private final StartCosts startCosts = new StartCosts();
  private final ReceptionMeters meters;
  private final SharedContents contents;
  private final PeerAcceptor acceptor;

  public TargetServer(TargetSettings settings, MeterRegistry registry, Logger story) {
    this.settings = settings;
    this.story = story;
    this.receptions = new Receptions(settings.maxMigrations());
    this.desk = new OwnershipDesk(settings.stateDirectory(), receptions, this::takeUp);
    this.preflight =
        new Preflight(
            new GuestFolder(settings.guests()),
            settings.allowed(),
            settings.stateDirectory(),
            settings.launchLimit(),
            new GuestCopies(settings.stateDirectory(), settings.copies()));
    this.meters = new ReceptionMeters(registry);
    this.contents = new SharedContents(settings.sharing(), settings.hints());
    this.acceptor = new PeerAcceptor(settings.transport());
  }

  /**
   * Takes up again what an earlier agent left unfinished, then listens.
   *
   * @return the real address; port 0 is allowed
   * @throws IOException with a sentence when the address cannot be had
   */
  public InetSocketAddress listen(InetSocketAddress address)
      throws IOException, InterruptedException {
    retake();
    return acceptor.bind(address, this::greet);
  }

  public Transport transport() {
    return acceptor.transport();
  }

  private void greet(PeerChannel channel) {
    Thread.ofVirtual()
        .name("greeting")
        .start(new PeerGreeting(channel, receptions, desk, places, this::receive));
  }

  private void receive(
      Offer offer, PeerChannel control, TargetConversation conversation, Capabilities both)
      throws MigrationAborted {
    receptions.start(
        new Reception(
            offer,
            control,
            conversation,
            both,
            preflight,
            settings.limits(),
            startCosts,
            meters,
            contents,
            story));
  }

  /**
   * Takes up the guests again that run here while their pages are missing, and whose agent is gone.
   * To be called before the first peer can ask.
   */
  private void retake() {
    new Unfinished(settings.stateDirectory()).take(story).forEach(this::retake);
  }

  /** The same of one that this agent itself has lost. */
  private void takeUp(UUID migration) {
    try {
      new Unfinished(settings.stateDirectory()).take(migration).ifPresent(this::retake);
    } catch (LedgerException e) {
      if (e.problem() != LedgerException.Problem.HELD) {
        story.warn("{}", e.getMessage());
      }
    }
  }

  private void retake(OwnershipLedger ledger) {
    if (!receptions.start(new Retake(ledger, settings.limits(), meters, story))) {
      ledger.close();
    }
  }

  /** Where each migration is. */
  public List<MigrationStatus> status() {
    return receptions.all().stream().map(Arrival::status).toList();
  }

  /**
   * Ends one migration as far as its guest is not this host's already.
   *
   * @return whether there is such a migration
   */
  public boolean cancel(UUID migration) {
    Optional<Arrival> arrival = receptions.find(migration);
    arrival.ifPresent(Arrival::cancel);
    return arrival.isPresent();
  }

  /**
   * Ends what can be ended, lets take-overs finish, then closes the socket: until then a source can
   * still ask whose its guest is.
   */
  @Override
  public void close() {
    try {
      receptions.stop(STOPPING);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      acceptor.close();
      contents.close();
    }
  }
}
