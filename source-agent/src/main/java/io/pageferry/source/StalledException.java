package io.pageferry.source;

import java.io.IOException;

/** The guest dirties its memory faster than the link carries it, and is not to be paused for it. */
final class StalledException extends IOException {
  private static final long serialVersionUID = 1L;

  StalledException(String sentence) {
    super(sentence);
  }
}
