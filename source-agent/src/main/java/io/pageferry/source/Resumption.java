package io.pageferry.source;

import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageEncodings;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;

/**
 * Takes up a post-copy whose connection was lost, or whose source agent is another one than before:
 * the target says what it still waits for, and exactly that is sent.
 *
 * <p>Threading: the driver thread. An interrupt ends the attempts.
 */
final class Resumption {
  private static final Logger STORY = LogOutput.story("source");
  private static final long RETRY_MILLIS = 500;

  /**
   * The guest and what is left of it here.
   *
   * @param ledger is completed before the target is told that it need not be asked any more
   * @param image nothing changes it any more
   * @param digest is told of each page that is sent
   * @param whole the digest of the whole image, for the comparison
   */
  record Remains(
      OwnershipLedger ledger, GuestImage image, ImageDigest digest, PostCopy.WholeDigest whole) {}

  private final TargetPlace target;
  private final String peerName;
  private final Cancellation cancellation;
  private final MigrationProgress progress;
  private final MigrationJournal journal;

  /**
   * @param peerName the name in the certificate of the agent that has the guest
   */
  Resumption(
      TargetPlace target,
      String peerName,
      Cancellation cancellation,
      MigrationProgress progress,
      MigrationJournal journal) {
    this.target = target;
    this.peerName = peerName;
    this.cancellation = cancellation;
    this.progress = progress;
    this.journal = journal;
  }

  /**
   * Tries until the target has everything, or could not be reached for {@code limit}; each
   * connection that was asked for pages begins that time anew.
   *
   * @return what the target says of it; empty if it had everything already and says no more
   * @throws GuestEndedThereException if the guest ended, so that nothing is left to do
   * @throws IOException if the time is up; the message says what was in the way last
   */
  Optional<Settled> run(Remains remains, PostCopy.Manner manner, Duration limit)
      throws IOException, InterruptedException {
    long end = System.nanoTime() + limit.toNanos();
    String said = "";
    while (true) {
      progress.phase("paused: the link to the target is lost");
      cancellation.pauseServing(Thread.currentThread());
      boolean[] served = {false};
      IOException failed;
      try (TargetLink link = target.connect()) {
        return attempt(link, remains, manner, served);
      } catch (PeerAbortedException e) {
        if (e.reason() == AbortReason.GUEST_ENDED) {
          throw new GuestEndedThereException(
              String.valueOf(e.getMessage()),
              e,
              new Settlement(target, peerName).isKnownToHaveRun(remains.ledger().migration()));
        }
        failed = e;
      } catch (IOException e) {
        failed = e;
      }
      long now = System.nanoTime();
      end = served[0] ? now + limit.toNanos() : end;
      String why = String.valueOf(failed.getMessage());
      if (!why.equals(said)) {
        STORY.info("The missing pages cannot be sent to {} now: {}.", target.address(), why);
        said = why;
      }
      if (now - end >= 0) {
        throw failed;
      }
      Thread.sleep(RETRY_MILLIS);
    }
  }

  private Optional<Settled> attempt(
      TargetLink link, Remains remains, PostCopy.Manner manner, boolean[] served)
      throws IOException, InterruptedException {
    if (!link.peer().name().equals(peerName)) {
      throw new IOException(
          "%s is %s now, the guest was handed to %s"
              .formatted(target.address(), link.peer().name(), peerName));
    }
    journal.peer(link.peer());
    link.send(new OwnershipQuery(remains.ledger().migration()));
    OwnershipState state = link.await(Ownership.class, TargetLink.ANSWER).state();
    return switch (state) {
      // Of one that is not known to have run there, RESUME says whether it still waits or ended.
      case FETCHING, TAKEN_OVER -> Optional.of(serve(link, remains, manner, served));
      case RUNNING -> {
        remains.ledger().record(LedgerState.COMPLETED);
        link.send(new Goodbye());
        yield Optional.empty();
      }
      default -> throw new IOException("%s says %s of this migration".formatted(peerName, state));
    };
  }

  private Settled serve(TargetLink link, Remains remains, PostCopy.Manner manner, boolean[] served)
      throws IOException, InterruptedException {
    GuestImage image = remains.image();
    List<ImageRegion> regions = image.regions();
    UnsentPages unsent = new UnsentPages(regions.stream().mapToLong(ImageRegion::pages).toArray());
    List<RegionOffer> layout =
        regions.stream().map(each -> new RegionOffer(each.name(), each.bytes())).toList();
    int round = link.resume(remains.ledger().migration(), layout, unsent, target.introduction());
    cancellation.beginServing();
    // Without pages to bring it is only the end that fails again and again: not for ever.
    served[0] = unsent.count() > 0;
    STORY.info("{} has the connection back and waits for {} pages.", peerName, unsent.count());
    try (PostCopy postcopy =
            new PostCopy(link, round, image, remains.digest(), unsent, manner, progress, journal);
        RoundSender rounds =
            new RoundSender(
                link,
                image,
                () -> false,
                remains.digest(),
                manner.pacer(),
                new PageEncodings(
                    true,
                    manner.compress().codecs(link),
                    null,
                    null,
                    Pacer.isSlow(manner.pacer().bytesPerSecond())),
                null,
                null,
                progress)) {
      postcopy.answer();
      Settled settled = postcopy.run(rounds, remains.whole());
      remains.ledger().record(LedgerState.COMPLETED);
      link.send(new Goodbye());
      return settled;
    }
  }
}
