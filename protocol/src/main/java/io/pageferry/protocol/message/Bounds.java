package io.pageferry.protocol.message;

import java.nio.charset.StandardCharsets;

/** The one way in which a record refuses what its format cannot carry. */
final class Bounds {
  private Bounds() {}

  static void check(String what, long value, long min, long max) {
    if (value < min || value > max) {
      throw new IllegalArgumentException(
          what + " " + value + " is not within " + min + " and " + max);
    }
  }

  /** Counts, times and sizes: 63 bits. */
  static void checkCount(String what, long value) {
    check(what, value, 0, Long.MAX_VALUE);
  }

  static void checkToken(byte[] token) {
    check("length of a join token", token.length, Hello.TOKEN_BYTES, Hello.TOKEN_BYTES);
  }

  /**
   * A name that both sides may use as part of a file name: letters, digits, point, hyphen and
   * underscore, beginning with a letter or digit. A peer's name must never reach outside a folder.
   */
  static void checkName(String what, String name, int maxBytes) {
    check("length of " + what, name.length(), 1, maxBytes);
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      boolean alphanumeric =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (!alphanumeric && (i == 0 || (c != '.' && c != '-' && c != '_'))) {
        throw new IllegalArgumentException(
            what
                + " may hold letters, digits, '.', '-' and '_' only, and begins with one of the"
                + " first two");
      }
    }
  }

  /** A line of text for people: bounded, and without control characters. */
  static void checkText(String what, String text, int maxBytes) {
    check("length of " + what, text.getBytes(StandardCharsets.UTF_8).length, 0, maxBytes);
    if (text.chars().anyMatch(Character::isISOControl)) {
      throw new IllegalArgumentException(what + " holds a control character");
    }
  }
}
