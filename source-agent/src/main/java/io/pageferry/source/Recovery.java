package io.pageferry.source;

import io.pageferry.agent.cli.AddressConverter;
import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.cli.TlsOptions;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.GuestStatus;
import io.pageferry.guest.control.QmpControl;
import io.pageferry.guest.description.Afterwards;
import io.pageferry.guest.description.DescriptionException;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.protocol.channel.PeerConnector;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * Takes up one migration whose agent is no more, from its ledger.
 *
 * <p>The tracking ended with the agent (the kernel closes its descriptors), so what is left is the
 * question whose guest it is and whether it runs.
 */
final class Recovery {
  private static final Logger STORY = LogOutput.story("source");

  private final OwnershipLedger ledger;
  private final TlsOptions tls;
  private final Duration settleFor;
  private final boolean force;

  Recovery(OwnershipLedger ledger, TlsOptions tls, Duration settleFor, boolean force) {
    this.ledger = ledger;
    this.tls = tls;
    this.settleFor = settleFor;
    this.force = force;
  }

  /**
   * @return what was found and done, one sentence
   * @throws CommandFailure RECOVERABLE while the question stays open
   */
  String run() throws CommandFailure {
    try {
      return switch (ledger.current()) {
        case PLANNED, STREAMING -> {
          ledger.record(LedgerState.FAILED);
          yield "Guest %s was not paused and runs on here.".formatted(guestName());
        }
        case PAUSED -> putBack("had not been handed over");
        case RECLAIMED -> putBack("was given back by the target");
        case HANDED_OVER -> settle();
        case COMPLETED ->
            ledger.fields().isSet(LedgerFields.RELEASED)
                ? "Guest %s has moved to %s.".formatted(guestName(), peer())
                : release();
        default ->
            "Nothing is left to recover: migration %s is %s."
                .formatted(ledger.migration(), ledger.current());
      };
    } catch (IOException e) {
      throw open(String.valueOf(e.getMessage()), e);
    }
  }

  private String settle() throws IOException, CommandFailure {
    if (force) {
      STORY.warn("Forced: nobody has asked {} whether it took the guest over.", peer());
      ledger.record(LedgerState.RECLAIMED);
      return putBack("was taken back by force");
    }
    InetSocketAddress target = new AddressConverter().convert(peer());
    try (PeerConnector connector =
        new PeerConnector(tls.clientSettings(target, STORY, ledger.fields().more()))) {
      Optional<LedgerState> settled =
          new Settlement(
                  connector,
                  target,
                  ledger.fields().more().getOrDefault(Migration.PEER_NAME, ""),
                  SourceAgent.INTRODUCTION)
              .settle(ledger, settleFor);
      if (settled.isEmpty()) {
        throw open("%s does not say whether it took the guest over".formatted(peer()), null);
      }
      return settled.get() == LedgerState.RECLAIMED
          ? putBack("was given back by the target")
          : release();
    } catch (InterruptedException e) {
      throw open("the recovery was interrupted", e);
    }
  }

  private String putBack(String why) throws IOException, CommandFailure {
    IOException stuck = Retreat.resume(null, description());
    if (stuck != null) {
      throw open("it cannot be resumed (%s)".formatted(stuck.getMessage()), stuck);
    }
    ledger.record(LedgerState.FAILED);
    return "Guest %s %s and runs on here.".formatted(guestName(), why);
  }

  /** The guest runs on the target; the paused copy here is of no more use. */
  private String release() throws CommandFailure {
    GuestDescription description = description();
    if (description.afterwards() == Afterwards.QUIT && isAnswered(description.control().qmp())) {
      try (QmpControl control = QmpControl.connect(description.control())) {
        GuestStatus status = control.status();
        if (status.name().equals("postmigrate")) {
          control.quit();
        } else {
          // It came back, or another one waits at its place: not the copy that was left behind.
          STORY.warn("The guest on this host is {} and is left alone.", status.name());
        }
      } catch (IOException e) {
        throw new CommandFailure(
            ExitCode.FAILED,
            "guest %s runs on %s, but its paused copy here did not end (%s) and keeps its memory"
                    .formatted(guestName(), peer(), e.getMessage())
                + ": try again with '%s'".formatted(command()),
            e);
      }
    }
    Migration.markReleased(ledger);
    return "Guest %s was taken over by %s and runs there.".formatted(guestName(), peer());
  }

  /** Whether a process listens there; if none does, the copy has ended already. */
  private static boolean isAnswered(Path socket) {
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
      return channel.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  private String command() {
    return RecoverCommand.of(ledger.migration(), ledger.stateDirectory());
  }

  private GuestDescription description() throws CommandFailure {
    String path = ledger.fields().description();
    if (path == null) {
      throw open("the ledger does not say where the guest is described", null);
    }
    try {
      return GuestDescription.load(Path.of(path));
    } catch (DescriptionException e) {
      throw open(String.valueOf(e.getMessage()), e);
    }
  }

  private CommandFailure open(String what, @Nullable Exception cause) {
    return new CommandFailure(
        ExitCode.RECOVERABLE,
        "guest %s stays paused here: %s; try again with '%s'"
            .formatted(guestName(), what, command()),
        cause);
  }

  private String guestName() {
    return ledger.fields().guest();
  }

  private String peer() {
    return ledger.fields().peer();
  }
}
