package io.pageferry.source;

import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.PostcopyWish;
import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * What the user asked for.
 *
 * @param description the file that describes the guest
 * @param targetName the name that the target's certificate must have; null for any of our authority
 * @param mode how the memory moves
 * @param dataChannels 1 to 16
 * @param bandwidth cap in bytes a second on all data channels together, 0 for none
 * @param downtimeLimit how long the guest may stand still
 * @param onStall what becomes of a guest that dirties faster than the link carries
 * @param insistOnPostcopy whether a target that cannot do post-copy is refused; otherwise a stalled
 *     guest is paused then
 * @param push what is sent in post-copy besides what the guest waits for
 * @param maxRounds rounds while the guest runs
 * @param maxSentRatio bytes on the wire as a multiple of the guest's memory
 * @param dirtyThreshold pages; so few left mean that another round gains nothing
 * @param holdBack whether pages that the guest keeps writing wait for a later round or the end
 * @param zeroRuns whether pages of zeros are only named
 * @param compress how pages are packed
 * @param deltaCache bytes kept of pages that are sent again, so that they may go as deltas; 0 for
 *     none, {@link #DELTA_CACHE_BY_MEMORY} for a share of the guest's memory
 * @param warm whether the target is asked what it still has of the guest
 * @param dedup whether pages are offered by their digests
 * @param copies what is kept here of a guest that has moved
 * @param tracking how dirty pages are found
 * @param verifyFull whether both sides reread their images while the guest stands still
 * @param settleFor how long a lost confirmation is asked after before the command gives up
 * @param recoverFor how long a link that was lost in post-copy is tried again before the command
 *     gives up
 * @param stateDirectory where the ledger is kept
 */
record MigrationSettings(
    Path description,
    @Nullable String targetName,
    MigrationMode mode,
    int dataChannels,
    long bandwidth,
    Duration downtimeLimit,
    OnStall onStall,
    boolean insistOnPostcopy,
    PushMode push,
    int maxRounds,
    double maxSentRatio,
    long dirtyThreshold,
    boolean holdBack,
    boolean zeroRuns,
    Compression compress,
    long deltaCache,
    Warm warm,
    Dedup dedup,
    CopyLimits copies,
    Tracking tracking,
    boolean verifyFull,
    Duration settleFor,
    Duration recoverFor,
    Path stateDirectory) {

  /** A cache as large as {@link #deltaCacheBytes} makes it. */
  static final long DELTA_CACHE_BY_MEMORY = -1;

  /** The share of a guest's memory: what it writes again and again is seldom more. */
  private static final int DELTA_CACHE_SHARE = 8;

  /** An agent that moves a large guest is to stay small all the same, unless told otherwise. */
  private static final long DELTA_CACHE_MAX = 256L << 20;

  /** Whether the link is known to carry less than any codec packs. */
  boolean slowLink() {
    return Pacer.isSlow(bandwidth);
  }

  /** Whether memory is sent in rounds while the guest runs. */
  boolean hasRounds() {
    return mode == MigrationMode.PRECOPY || mode == MigrationMode.HYBRID;
  }

  /** Whether the guest moves before its pages whatever happens. */
  boolean isPostcopyPlanned() {
    return mode == MigrationMode.POSTCOPY || mode == MigrationMode.HYBRID;
  }

  /** What the target is asked to be ready for. */
  PostcopyWish postcopyWish() {
    if (isPostcopyPlanned()) {
      return PostcopyWish.REQUIRED;
    }
    if (mode != MigrationMode.PRECOPY || onStall != OnStall.POSTCOPY) {
      return PostcopyWish.NO;
    }
    return insistOnPostcopy ? PostcopyWish.REQUIRED : PostcopyWish.IF_POSSIBLE;
  }

  /** How much may be kept for deltas of a guest with so much memory, in bytes. */
  long deltaCacheBytes(long memoryBytes) {
    return deltaCache == DELTA_CACHE_BY_MEMORY
        ? Math.min(memoryBytes / DELTA_CACHE_SHARE, DELTA_CACHE_MAX)
        : Math.min(deltaCache, memoryBytes);
  }

  /** What becomes of a guest that dirties faster than the link carries. */
  enum OnStall {
    /** It moves at once, and what is left follows. */
    POSTCOPY,
    /** It is paused for as long as the rest takes. */
    PAUSE,
    /** The migration is called off and the guest stays. */
    CANCEL
  }

  /** How dirty pages are found. */
  enum Tracking {
    /** By the kernel where it can, else by content digests. */
    AUTO,
    /** By the kernel or not at all. */
    USERFAULTFD,
    /** By comparing content digests, on purpose. */
    DIGEST
  }
}
