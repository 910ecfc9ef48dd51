package io.pageferry.protocol.channel;

import java.util.Locale;

/**
 * Reads which side ended a TLS handshake, and why, out of what the engines throw. Each engine words
 * the same alert (RFC 8446, section 6) in its own way; the alert's name is in all of them.
 */
final class TlsAlert {
  private TlsAlert() {}

  static String sentence(String peer, Throwable cause) {
    StringBuilder chain = new StringBuilder();
    for (Throwable each = cause; each != null; each = each.getCause()) {
      chain.append(each).append('\n');
    }
    String text = chain.toString().toLowerCase(Locale.ROOT).replace('_', ' ');
    if (received(text)) {
      return ofPeer(peer, text);
    }
    return ofThisSide(peer, text, cause);
  }

  private static boolean received(String text) {
    return text.contains("received fatal alert")
        || text.contains("tlsfatalalertreceived")
        || text.contains("sslv3 alert ")
        || text.contains("tlsv1 alert ")
        || text.contains("tlsv1 certificate ");
  }

  private static String ofPeer(String peer, String text) {
    String refused = peer + " refused this side: ";
    if (text.contains("certificate revoked")) {
      return refused + "our certificate has been revoked";
    }
    if (text.contains("certificate expired")) {
      return refused + "our certificate has expired, or is not yet valid, by its clock";
    }
    if (text.contains("unknown ca")) {
      return refused + "our certificate was issued by another authority than its own";
    }
    if (text.contains("bad certificate")) {
      return refused + "our certificate is damaged, or not yet valid by its clock";
    }
    if (text.contains("certificate required")) {
      return refused + "it requires a certificate and got none";
    }
    if (text.contains("certificate unknown")) {
      return refused + "it does not trust our certificate";
    }
    if (text.contains("protocol version")) {
      return refused + "no TLS version in common (this side speaks TLS 1.3)";
    }
    if (text.contains("handshake failure") || text.contains("insufficient security")) {
      return refused + "no TLS parameters in common";
    }
    return refused + "TLS failed there, and its log says why";
  }

  private static String ofThisSide(String peer, String text, Throwable cause) {
    String refused = "this side refused " + peer + ": ";
    if (text.contains("did not return a certificate")
        || text.contains("empty client certificate")
        || text.contains("empty server certificate")
        || text.contains("certificate required")) {
      return refused + "it presented no certificate";
    }
    if (text.contains("unsupported protocol")
        || text.contains("protocol version")
        || text.contains("wrong version")) {
      return refused + "it does not speak TLS 1.3";
    }
    if (text.contains("closed")) {
      return peer
          + " closed the connection during the TLS handshake:"
          + " it may have been told to use plaintext, or be busy";
    }
    return "TLS with " + peer + " failed: " + cause.getMessage();
  }
}
