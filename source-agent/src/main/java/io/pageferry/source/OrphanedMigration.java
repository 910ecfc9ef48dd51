package io.pageferry.source;

import io.pageferry.agent.cli.AddressConverter;
import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.cli.TlsOptions;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.description.DescriptionException;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.protocol.channel.PeerConnector;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import picocli.CommandLine.TypeConversionException;

/**
 * A migration whose agent is no more, as far as its ledger tells of it: which guest, with whom, how
 * the target is reached again, and what its user is told as long as a question stays open or when
 * nothing is left.
 *
 * <p>Threading: the driver thread.
 */
final class OrphanedMigration {
  private static final Logger STORY = LogOutput.story("source");

  private final OwnershipLedger ledger;

  /**
   * Looked up once, so that one host is asked and then served; where the name was unknown then, it
   * is looked up again for each connection.
   */
  private @Nullable InetSocketAddress address;

  /**
   * @param ledger whoever opened it closes it
   */
  OrphanedMigration(OwnershipLedger ledger) {
    this.ledger = ledger;
  }

  OwnershipLedger ledger() {
    return ledger;
  }

  UUID id() {
    return ledger.migration();
  }

  String guestName() {
    return ledger.fields().guest();
  }

  /** The target, as its user named it. */
  String peer() {
    return ledger.fields().peer();
  }

  /** The name in the certificate of the agent that took part; empty if none did yet. */
  String peerName() {
    return MigrationFields.peerName(ledger.fields());
  }

  /** The command that takes it up, to be shown to the user. */
  String command() {
    return RecoverCommand.of(id(), ledger.stateDirectory());
  }

  /** With what the target was reached, unless the user gives something else. */
  PeerConnector connector(TlsOptions tls) throws CommandFailure {
    return new PeerConnector(tls.clientSettings(address(), STORY, ledger.fields().more()));
  }

  TargetPlace target(PeerConnector connector) throws CommandFailure {
    return new TargetPlace(connector, address(), SourceAgent.INTRODUCTION);
  }

  private InetSocketAddress address() throws CommandFailure {
    InetSocketAddress known = address;
    if (known == null) {
      try {
        known = new AddressConverter().convert(peer());
      } catch (TypeConversionException e) {
        throw pending("its ledger does not say where the target is: " + e.getMessage(), e);
      }
      address = known;
    }
    return known;
  }

  GuestDescription description() throws CommandFailure {
    String path = ledger.fields().description();
    if (path == null) {
      throw pending("the ledger does not say where the guest is described", null);
    }
    try {
      return GuestDescription.load(Path.of(path));
    } catch (DescriptionException e) {
      throw pending(String.valueOf(e.getMessage()), e);
    }
  }

  /** Whether the process that the guest was here has ended, where that was written down. */
  boolean processEnded() {
    LedgerFields.LaunchedProcess process = ledger.fields().launched();
    return process != null && process.find() == null;
  }

  /** Whichever of the two the guest is. */
  private CommandFailure pending(String what, @Nullable Exception cause) {
    return ledger.current() == LedgerState.SERVING
        ? lackingPages(what, cause)
        : undecided(what, cause);
  }

  /** Nobody knows yet whose the guest is, or it is this side's and does not run. */
  CommandFailure undecided(String what, @Nullable Exception cause) {
    return new CommandFailure(
        ExitCode.RECOVERABLE,
        "guest %s stays paused here: %s; try again with '%s'"
            .formatted(guestName(), what, command()),
        cause);
  }

  /** The guest is the target's, and has not got all of its pages. */
  CommandFailure lackingPages(String what, @Nullable Exception cause) {
    return new CommandFailure(
        ExitCode.RECOVERABLE,
        "guest %s is %s's and waits there as soon as it needs a page that is only here: %s; keep the"
                .formatted(guestName(), peer(), what)
            + " paused copy and try again with '%s'".formatted(command()),
        cause);
  }

  /**
   * The guest has ended on the target, and the copy here may be the only guest there is, or an
   * older one of a guest that has run on. If that has ended too, the ledger is closed.
   *
   * @return what the command ends with
   */
  CommandFailure endedUnseen(@Nullable Exception cause) throws CommandFailure {
    String ended = EndedThere.unseen(guestName(), peer(), cause);
    if (processEnded() || GuestPlace.of(description()).isDeserted()) {
      LedgerEnd.endedThere(ledger);
      return new CommandFailure(
          ExitCode.FAILED, ended + ", and its copy here has ended too: nothing is left", cause);
    }
    return new CommandFailure(ExitCode.RECOVERABLE, ended + EndedThere.keptFor(command()), cause);
  }
}
