package io.pageferry.guest.description;

import java.util.Collection;
import java.util.Locale;
import java.util.Optional;

/** What somebody who mistyped a word most likely meant. */
final class NearestWord {
  private NearestWord() {}

  /** The known word with the fewest edits, if they are few enough to be a slip of the finger. */
  static Optional<String> of(String written, Collection<String> known) {
    Optional<String> nearest = Optional.empty();
    String lower = written.toLowerCase(Locale.ROOT);
    int best = Math.max(1, Math.min(written.length() - 1, 2 + written.length() / 8)) + 1;
    for (String word : known) {
      int distance = distance(lower, word.toLowerCase(Locale.ROOT), best);
      if (distance < best) {
        best = distance;
        nearest = Optional.of(word);
      }
    }
    return nearest;
  }

  /** Levenshtein's distance; {@code limit} when it cannot be less because of the lengths. */
  private static int distance(String a, String b, int limit) {
    if (Math.abs(a.length() - b.length()) >= limit) {
      return limit;
    }
    int[] above = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      above[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int[] row = new int[b.length() + 1];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = above[j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        row[j] = Math.min(replaced, Math.min(above[j], row[j - 1]) + 1);
      }
      above = row;
    }
    return above[b.length()];
  }
}
