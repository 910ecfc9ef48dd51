package io.pageferry.protocol.pki;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * The authority could not do what was asked. The message is one sentence that names the file or the
 * agent.
 */
public final class PkiException extends IOException {
  private static final long serialVersionUID = 1L;

  public PkiException(String sentence) {
    super(sentence);
  }

  public PkiException(String sentence, @Nullable Throwable cause) {
    super(sentence, cause);
  }
}
