package io.pageferry.target.reception;

import io.pageferry.agent.local.MigrationStatus;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.Welcome;
import io.pageferry.target.MigrationAborted;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A guest on its way here, as others see it who have to do with it: those who join it, ask for it
 * or end it. {@link #run} is its driver: one thread, which alone talks to the source on the control
 * channel, alone writes the ledger and alone decides. Everything else that happens reaches it
 * through its inbox. All other methods may be called by any thread.
 */
public abstract sealed class Arrival implements Runnable permits Reception, Retake {
  /** Driver thread takes, anybody puts. */
  final ReceptionInbox inbox = new ReceptionInbox();

  final LandedPages landed = new LandedPages();
  final ReceptionProgress progress;

  /** Completed as soon as it is on disk who owns the guest. */
  final CompletableFuture<OwnershipState> settled = new CompletableFuture<>();

  private final UUID migration;
  private final String guest;

  /** Written by the driver, read by those who join. */
  private volatile @Nullable SourceLink link;

  private volatile boolean resumable;

  Arrival(UUID migration, String guest, String source, long memoryBytes) {
    this.migration = migration;
    this.guest = guest;
    this.progress = new ReceptionProgress(migration, guest, source, memoryBytes, landed);
  }

  public UUID migration() {
    return migration;
  }

  public String guestName() {
    return guest;
  }

  public MigrationStatus status() {
    return progress.status();
  }

  /** By which connection pages come from now on; none for null. */
  final void open(@Nullable SourceLink next) {
    link = next;
  }

  /** Ends the present connection, if there is one. */
  final void closeLink() {
    SourceLink present = link;
    if (present != null) {
      present.close();
    }
  }

  /** From here on a source whose connection was lost may come back. */
  final void allowResume() {
    resumable = true;
  }

  /** The driver takes nothing from its inbox any more. */
  final void refuseResume() {
    resumable = false;
    for (ReceptionEvent.ResumeAsked late : inbox.close()) {
      late.control().close();
    }
  }

  /** Whether a source that lost its connection may come back. */
  public boolean resumable() {
    return resumable;
  }

  /**
   * Lets a data channel or the fault channel join.
   *
   * @throws MigrationAborted BAD_TOKEN, which ends that channel and not the migration
   */
  public void join(PeerChannel channel, Hello hello, Welcome welcome) throws MigrationAborted {
    SourceLink present = link;
    PageChannels channels = present == null ? null : present.channels();
    if (channels == null) {
      throw JoinTokens.refused();
    }
    channels.join(channel, hello, welcome);
  }

  /**
   * The source is back, by a connection that becomes this arrival's to close.
   *
   * @param conversation the state of that channel, the RESUME included
   * @throws MigrationAborted when there is nothing to resume; the connection stays the caller's
   */
  public void resume(
      PeerChannel control, TargetConversation conversation, Capabilities capabilities)
      throws MigrationAborted {
    if (!resumable
        || !inbox.put(new ReceptionEvent.ResumeAsked(control, conversation, capabilities))) {
      throw new MigrationAborted(
          AbortReason.PROTOCOL_VIOLATION, "this migration has nothing to resume");
    }
  }

  /** The source wants its guest back; completes with what is then on disk. */
  public CompletableFuture<OwnershipState> reclaim() {
    inbox.put(new ReceptionEvent.ReclaimAsked());
    return settled;
  }

  /**
   * Who goes on with the guest, for the thread of {@link #run} when that has returned.
   *
   * @return null if this was the end
   */
  public abstract @Nullable Retake successor();

  /** Ends it, as far as it is not the guest's host already; a guest that runs here is left so. */
  public void stop() {
    inbox.put(new ReceptionEvent.StopAsked());
  }

  /** Ends it by the wish of this host's user, as far as it is not the guest's host already. */
  public void cancel() {
    inbox.put(new ReceptionEvent.CancelAsked());
  }
}
