package io.pageferry.source;

import java.util.Locale;

/** What made a guest move before all of its pages. */
enum SwitchedBy {
  /** Its mode. */
  PLAN,
  /** It dirtied faster than the link carried. */
  STALL,
  /** {@code source postcopy}. */
  COMMAND;

  /** As the report says it. */
  String inReport() {
    return name().toLowerCase(Locale.ROOT);
  }
}
