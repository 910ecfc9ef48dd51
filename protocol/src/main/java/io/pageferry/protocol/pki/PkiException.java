package io.pageferry.protocol.pki;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * The authority could not do what was asked. The message is one sentence that names the file or the
 * agent.
 */
public final class PkiException extends IOException {
  private static final long serialVersionUID = 1L;

  private final boolean wrongInput;

  public PkiException(String sentence) {
    this(sentence, false);
  }

  public PkiException(String sentence, @Nullable Throwable cause) {
    super(sentence, cause);
    this.wrongInput = false;
  }

  private PkiException(String sentence, boolean wrongInput) {
    super(sentence);
    this.wrongInput = wrongInput;
  }

  /** Nobody could do what was asked, whatever there is in the authority's folder. */
  static PkiException ofWrongInput(String sentence) {
    return new PkiException(sentence, true);
  }

  /** Whether what was asked is wrong in itself. */
  public boolean isWrongInput() {
    return wrongInput;
  }
}
