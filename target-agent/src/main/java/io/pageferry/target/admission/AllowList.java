package io.pageferry.target.admission;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which peers may send which guests here. An entry is {@code PEER=GUEST,GUEST…}; {@code *} stands
 * for every guest, and as the peer for every agent of our authority. Without any entry every agent
 * of our authority may send every guest that is described here.
 *
 * <p>A list in a file is read again for each question, so that taking a right away needs no
 * restart; a file that cannot be read allows nothing. Immutable; any thread.
 */
public final class AllowList {
  private static final Logger LOG = LoggerFactory.getLogger(AllowList.class);
  private static final String ANY = "*";

  private final Map<String, Set<String>> entries;
  private final @Nullable Path file;

  private AllowList(Map<String, Set<String>> entries, @Nullable Path file) {
    this.entries = entries;
    this.file = file;
  }

  /** Every agent of our authority may send every guest described here. */
  public static AllowList everyone() {
    return new AllowList(Map.of(), null);
  }

  /**
   * The rights that these entries give, and no others.
   *
   * @throws IllegalArgumentException with a sentence, when an entry cannot be understood
   */
  public static AllowList of(List<String> entries) {
    Map<String, Set<String>> parsed = new HashMap<>();
    for (String entry : entries) {
      add(parsed, entry);
    }
    return new AllowList(parsed, null);
  }

  /**
   * The rights that a file gives: one entry a line; empty lines and lines that begin with {@code #}
   * do not count.
   *
   * @throws IOException when the file cannot be read now
   * @throws IllegalArgumentException with a sentence, when it cannot be understood now
   */
  public static AllowList inFile(Path file) throws IOException {
    read(file);
    return new AllowList(Map.of(), file);
  }

  /** Whether that peer, by its certificate's name, may send that guest. */
  public boolean allows(String peer, String guest) {
    Map<String, Set<String>> current = entries;
    if (file != null) {
      try {
        current = read(file);
      } catch (IOException | IllegalArgumentException e) {
        LOG.warn("the allow-list {} allows nothing now: {}", file, e.toString());
        return false;
      }
    } else if (entries.isEmpty()) {
      return true;
    }
    return allows(current.get(peer), guest) || allows(current.get(ANY), guest);
  }

  private static boolean allows(@Nullable Set<String> guests, String guest) {
    return guests != null && (guests.contains(ANY) || guests.contains(guest));
  }

  private static Map<String, Set<String>> read(Path file) throws IOException {
    Map<String, Set<String>> parsed = new HashMap<>();
    for (String line : Files.readAllLines(file)) {
      if (!line.isBlank() && !line.strip().startsWith("#")) {
        add(parsed, line);
      }
    }
    return parsed;
  }

  private static void add(Map<String, Set<String>> entries, String entry) {
    int equals = entry.indexOf('=');
    String peer = equals < 0 ? "" : entry.substring(0, equals).strip();
    List<String> guests = new ArrayList<>();
    for (String guest : entry.substring(equals + 1).split(",", -1)) {
      guests.add(guest.strip());
    }
    if (peer.isEmpty() || guests.contains("")) {
      throw new IllegalArgumentException(
          "'" + entry.strip() + "' is no entry of an allow-list; write PEER=GUEST,GUEST or PEER=*");
    }
    entries.computeIfAbsent(peer, key -> new HashSet<>()).addAll(guests);
  }
}
