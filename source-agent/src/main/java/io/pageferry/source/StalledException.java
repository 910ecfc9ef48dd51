package io.pageferry.source;

import java.io.IOException;

/**
 * The guest cannot be moved within the downtime limit, mostly because it dirties its memory faster
 * than the link carries it, and is not to be paused for longer.
 */
final class StalledException extends IOException {
  private static final long serialVersionUID = 1L;

  StalledException(String sentence) {
    super(sentence);
  }
}
