package io.pageferry.source;

import org.jspecify.annotations.Nullable;

/**
 * The user's wish to let the guest move now and its pages follow ({@code source postcopy}), and
 * whether that can be granted.
 *
 * <p>Threading: asked for by any thread, looked at by the driver; guarded by this object's lock.
 */
final class SwitchWish {
  private @Nullable String refusal = "the migration is still being prepared: ask again in a moment";
  private boolean wished;

  /** From now on it can be granted. */
  synchronized void allow() {
    refusal = null;
  }

  /**
   * From now on it cannot.
   *
   * @param why half a sentence for the user
   */
  synchronized void refuse(String why) {
    refusal = why;
  }

  /**
   * There is no further round: what is asked for from now on is refused, what was granted before
   * has to be done.
   *
   * @return whether it was asked for
   */
  synchronized boolean close() {
    if (refusal == null) {
      refusal = "too late: the rounds are over";
    }
    return wished;
  }

  /**
   * Asks for it.
   *
   * @return null if it will be done, else why not
   */
  synchronized @Nullable String request() {
    if (refusal == null) {
      wished = true;
    }
    return refusal;
  }

  synchronized boolean wished() {
    return wished;
  }
}
