package io.pageferry.agent.report;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What one migration did. The names are part of the command line's promise: they may grow in number
 * and never change. Times are milliseconds with fractions unless the name says micros.
 *
 * @param mode how it moved, for example {@code precopy}
 * @param downtimeParts null where the downtime is
 * @param guestDowntimeMs the pause as the guest itself saw it, across both processes; null if it
 *     cannot tell
 * @param longestGapMs the guest's longest gap between two ticks, whatever its cause; null if it
 *     cannot tell
 * @param verified whether the digests of both images were compared and are equal
 * @param tls null for a plain connection
 * @param tracking {@code userfaultfd-wp} or {@code digest}; null if it never began
 * @param error one sentence; null if it completed
 * @param peer the other agent: certificate name and address
 * @param agentVersion the version that wrote this
 * @param stopReason why the rounds ended, for example {@code downtime-limit}; null before that
 * @param switchedBy what made the guest move before all of its pages: {@code plan} (its mode),
 *     {@code stall} or {@code command}; null if that did not happen
 * @param application what the guest got done meanwhile
 */
@JsonPropertyOrder({
  "migration",
  "outcome",
  "mode",
  "guest",
  "times",
  "downtimeParts",
  "guestDowntimeMs",
  "longestGapMs",
  "pages",
  "bytes",
  "deltaCache",
  "rounds",
  "faults",
  "verified",
  "tls",
  "tracking",
  "error",
  "peer",
  "agentVersion",
  "stopReason",
  "switchedBy",
  "application"
})
@JsonInclude(JsonInclude.Include.ALWAYS)
public record MigrationReport(
    UUID migration,
    Outcome outcome,
    String mode,
    Guest guest,
    Times times,
    @Nullable DowntimeParts downtimeParts,
    @Nullable Double guestDowntimeMs,
    @Nullable Double longestGapMs,
    Pages pages,
    Bytes bytes,
    DeltaCache deltaCache,
    List<Round> rounds,
    Faults faults,
    boolean verified,
    @Nullable Tls tls,
    @Nullable String tracking,
    @Nullable String error,
    @Nullable String peer,
    String agentVersion,
    @Nullable String stopReason,
    @Nullable String switchedBy,
    Application application) {

  public MigrationReport {
    rounds = List.copyOf(rounds);
  }

  /** How it ended. */
  public enum Outcome {
    @JsonProperty("completed")
    COMPLETED,
    @JsonProperty("failed")
    FAILED,
    @JsonProperty("cancelled")
    CANCELLED,
    @JsonProperty("paused")
    PAUSED
  }

  /**
   * Which guest.
   *
   * @param pageSize bytes of a page on the wire
   */
  public record Guest(String name, long memoryBytes, int pageSize) {}

  /**
   * The phases of the survey papers. Null is what nobody measured, for example because the word
   * that the guest runs there was lost.
   *
   * @param preparationMs from the start until the guest was paused
   * @param precopyMs of that, the rounds while it ran
   * @param downtimeMs from the order to pause until the target reported the guest running; null if
   *     it did not
   * @param resumeMs from then until nothing depended on the source any more; null if either was not
   *     seen
   * @param totalMs from the start until the source was released
   */
  public record Times(
      double preparationMs,
      double precopyMs,
      @Nullable Double downtimeMs,
      @Nullable Double resumeMs,
      double totalMs) {}

  /** What the downtime went to, in the order in which it happens. */
  public record DowntimeParts(
      double pauseMs, double finalPagesMs, double deviceStateMs, double commitMs, double startMs) {}

  /**
   * Pages of 4096 bytes.
   *
   * @param total in the guest's memory
   * @param sent all that crossed, repetitions included
   * @param known of which only the names were sent: the target had them from an earlier time
   * @param partlyKnown of which only parts were sent: the target had the rest
   * @param deduplicated of which only the digests were sent: the target found the content
   * @param resent of these, those sent before
   * @param faulted sent by post-copy because the guest waited for them
   * @param pushed sent by post-copy without having been asked for
   * @param heldBack left for later by a round because the guest keeps writing them, over all rounds
   */
  public record Pages(
      long total,
      long sent,
      long zero,
      long raw,
      long lz4,
      long zstd,
      long delta,
      long known,
      long partlyKnown,
      long deduplicated,
      long resent,
      long faulted,
      long pushed,
      long heldBack) {}

  /**
   * Amounts.
   *
   * @param wire sent by the source on all channels, before encryption
   * @param memory what the sent pages amount to in the guest
   */
  public record Bytes(long wire, long memory) {}

  /**
   * The cache of pages as the target has them, which deltas are made against.
   *
   * @param bytes what it may hold; 0 if no deltas were to be made
   * @param hits pages sent again whose base was there, also if the delta did not pay
   * @param misses pages sent again whose base was not
   * @param overflows pages that were not kept, or gave way to another, because it was full
   */
  public record DeltaCache(long bytes, long hits, long misses, long overflows) {
    public static final DeltaCache NONE = new DeltaCache(0, 0, 0, 0);
  }

  /**
   * One round.
   *
   * @param dirtiedPages pages the guest wrote while this round ran
   * @param heldBackPages pages that this round left for later because the guest keeps writing them
   */
  public record Round(
      int round, long pages, long wireBytes, double ms, long dirtiedPages, long heldBackPages) {}

  /**
   * Post-copy's page faults; all 0 without any. A latency is the time from reading the fault to the
   * end of landing its page.
   *
   * @param count those for which a page was asked for over the network
   * @param localCount those settled without the network: zero pages, pages that were there
   * @param avoided pages that a push brought before anybody waited for them
   * @param duplicates pages that came more than once
   */
  public record Faults(
      long count,
      double p50Micros,
      double p99Micros,
      double maxMicros,
      long localCount,
      long avoided,
      long duplicates) {
    public static final Faults NONE = new Faults(0, 0, 0, 0, 0, 0, 0);
  }

  /**
   * Page writes a second, from a guest that counts them; null where it is not known.
   *
   * @param beforeOpsPerSecond on the source, just before the pause
   * @param duringOpsPerSecond on the target, while pages were missing
   * @param afterOpsPerSecond on the target, when it had all of them: in the first moments
   */
  public record Application(
      @Nullable Double beforeOpsPerSecond,
      @Nullable Double duringOpsPerSecond,
      @Nullable Double afterOpsPerSecond) {
    public static final Application UNKNOWN = new Application(null, null, null);
  }

  /**
   * How the channels were secured.
   *
   * @param protocol for example {@code TLSv1.3}
   * @param group the key exchange, for example {@code X25519MLKEM768}
   */
  public record Tls(String protocol, String group) {}
}
