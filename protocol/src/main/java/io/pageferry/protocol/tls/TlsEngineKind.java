package io.pageferry.protocol.tls;

import java.util.Locale;

/** Which TLS implementation protects a channel. Anything but {@link #AUTO} is forced. */
public enum TlsEngineKind {
  /**
   * BoringSSL where its native library loads, else Bouncy Castle, which has the post-quantum group
   * that JDK 25 lacks.
   */
  AUTO,
  /** Netty's BoringSSL (native). */
  BORINGSSL,
  /** Bouncy Castle's JSSE provider; its AES is the JDK's. */
  BOUNCYCASTLE,
  /** The JDK's own JSSE. */
  JDK;

  /** The name as on the command line. */
  public String optionName() {
    return name().toLowerCase(Locale.ROOT);
  }
}
