package io.pageferry.source;

import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.page.BaseCache;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageEncodings;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * How the pages of one guest go over one link: settled once, from what the user wants and what the
 * target can do, and the senders that are made by it.
 *
 * <p>Threading: the driver thread. Closing ends the senders.
 */
final class Sending implements AutoCloseable {
  private final MigrationSettings settings;
  private final TargetLink link;
  private final GuestImage image;
  private final Pacer pacer;
  private final RoundSender rounds;

  /**
   * @param sent is told of each page that is sent
   */
  Sending(
      MigrationSettings settings,
      SourceGuest guest,
      TargetLink link,
      ImageDigest sent,
      MigrationJournal journal,
      MigrationProgress progress) {
    this.settings = settings;
    this.link = link;
    this.image = guest.image();
    pacer = new Pacer(settings.bandwidth());
    WarmStart warm = warmStart();
    BaseCache bases = bases(guest.memoryBytes());
    if (bases != null) {
      journal.deltaCache(bases.bytes());
    }
    rounds =
        new RoundSender(
            link,
            image,
            guest::gone,
            sent,
            pacer,
            encodings(warm, bases),
            warm,
            deduplication(),
            progress);
  }

  /** Everything that is sent in rounds, before the pause and in it. */
  RoundSender rounds() {
    return rounds;
  }

  /** How what is missing after a switch to post-copy is sent; under the same cap. */
  PostCopy.Manner postCopyManner() {
    return new PostCopy.Manner(settings.push(), pacer, settings.compress());
  }

  private PageEncodings encodings(@Nullable WarmStart warm, @Nullable BaseCache bases) {
    return new PageEncodings(
        settings.zeroRuns() && link.has(Capabilities.ZERO_RUNS),
        settings.compress().codecs(link),
        bases,
        warm == null ? null : warm.pages(),
        settings.slowLink());
  }

  /**
   * For a guest whose memory is sent in rounds while it runs; null if the target is not asked. One
   * that stands still meanwhile is not kept waiting for an answer.
   */
  private @Nullable WarmStart warmStart() {
    return settings.hasRounds() && settings.warm() != Warm.OFF && link.has(Capabilities.KNOWN)
        ? new WarmStart(
            settings.warm(), link, ImageReread.layout(image.regions()), settings.bandwidth())
        : null;
  }

  /** Where pages that are sent again find what the target has of them; null for no deltas. */
  private @Nullable BaseCache bases(long memoryBytes) {
    long bytes = settings.deltaCacheBytes(memoryBytes);
    return settings.hasRounds() && bytes != 0 && link.has(Capabilities.DELTA)
        ? new BaseCache(ImageReread.layout(image.regions()), bytes)
        : null;
  }

  /** Whether the target is to look for what pages hold; null if not. */
  private @Nullable Supplier<Deduplication> deduplication() {
    return settings.mode() != MigrationMode.POSTCOPY
            && settings.dedup() != Dedup.OFF
            && link.has(Capabilities.REFERENCE)
        ? () ->
            new Deduplication(
                settings.dedup() == Dedup.ON, settings.bandwidth(), link.data().size())
        : null;
  }

  @Override
  public void close() {
    rounds.close();
  }
}
