package io.pageferry.agent.ledger;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What a recovery needs to know about a migration besides its state, because it runs in another
 * process than the one that wrote it.
 *
 * @param guest the guest's name
 * @param peer the other agent, as {@code host:port} or certificate name
 * @param description the file that describes the guest on this host, absolute; null if unknown
 * @param images the guest's memory images on this host, absolute
 * @param launched the guest's process: on the target the one that the agent started, null if it
 *     started none; on the source the one that was found, null if that was not needed
 * @param more whatever else one side's recovery needs; small
 */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
@JsonIgnoreProperties(ignoreUnknown = true)
public record LedgerFields(
    String guest,
    String peer,
    @Nullable String description,
    List<String> images,
    @Nullable LaunchedProcess launched,
    Map<String, String> more) {

  /** Target: nothing of an abandoned migration is left to remove. */
  public static final String CLEANED = "cleaned";

  /** Target: the guest is started before all of its pages are here. */
  public static final String POSTCOPY = "postcopy";

  /** Target: no page of a post-copy is missing any more. */
  public static final String FETCHED = "fetched";

  /** Source: the paused copy of a guest that has moved was ended, or is meant to stay. */
  public static final String RELEASED = "released";

  /**
   * A process, named so that a later one with the same number is not taken for it.
   *
   * @param pid its number
   * @param startMillis its start, in milliseconds since 1970; 0 if unknown
   */
  public record LaunchedProcess(long pid, long startMillis) {
    public static LaunchedProcess of(ProcessHandle process) {
      return new LaunchedProcess(process.pid(), start(process));
    }

    /** The process, if it still runs. */
    public @Nullable ProcessHandle find() {
      return ProcessHandle.of(pid)
          .filter(ProcessHandle::isAlive)
          .filter(found -> startMillis == 0 || start(found) == startMillis)
          .orElse(null);
    }

    private static long start(ProcessHandle process) {
      return process.info().startInstant().map(java.time.Instant::toEpochMilli).orElse(0L);
    }
  }

  public LedgerFields {
    guest = Objects.requireNonNullElse(guest, "");
    peer = Objects.requireNonNullElse(peer, "");
    images = images == null ? List.of() : List.copyOf(images);
    more = more == null ? Map.of() : Map.copyOf(more);
  }

  public static LedgerFields of(String guest, String peer) {
    return new LedgerFields(guest, peer, null, List.of(), null, Map.of());
  }

  public LedgerFields withDescription(String path) {
    return new LedgerFields(guest, peer, path, images, launched, more);
  }

  public LedgerFields withImages(List<String> paths) {
    return new LedgerFields(guest, peer, description, paths, launched, more);
  }

  public LedgerFields withLaunched(ProcessHandle process) {
    return new LedgerFields(guest, peer, description, images, LaunchedProcess.of(process), more);
  }

  /** Whether this one of {@link #more} says "true". */
  public boolean isSet(String key) {
    return Boolean.parseBoolean(more.get(key));
  }

  public LedgerFields with(String key, String value) {
    Map<String, String> grown = new TreeMap<>(more);
    grown.put(key, value);
    return new LedgerFields(guest, peer, description, images, launched, grown);
  }
}
