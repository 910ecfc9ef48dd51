package io.pageferry.guest.handover;

import java.io.IOException;

/**
 * The image that is described is not the memory of the guest that answers, or what that writes does
 * not reach it: whoever moved the image would lose the guest. The message is one sentence.
 */
public final class ForeignMemoryException extends IOException {
  private static final long serialVersionUID = 1L;

  public ForeignMemoryException(String sentence) {
    super(sentence);
  }
}
