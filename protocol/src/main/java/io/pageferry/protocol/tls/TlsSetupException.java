package io.pageferry.protocol.tls;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * Credentials on this side cannot be used. The message is one sentence that names the file and what
 * to do.
 */
public final class TlsSetupException extends IOException {
  private static final long serialVersionUID = 1L;

  public TlsSetupException(String sentence) {
    super(sentence);
  }

  public TlsSetupException(String sentence, @Nullable Throwable cause) {
    super(sentence, cause);
  }
}
