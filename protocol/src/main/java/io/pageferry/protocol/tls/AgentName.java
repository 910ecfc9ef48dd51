package io.pageferry.protocol.tls;

import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import javax.naming.InvalidNameException;
import javax.naming.ldap.LdapName;
import javax.naming.ldap.Rdn;
import org.jspecify.annotations.Nullable;

/**
 * How a certificate names an agent: subject common name NAME, and the one dNSName {@code
 * NAME.agent.pageferry}. It is this name that decides what an agent may do, never the host it
 * speaks from.
 */
public final class AgentName {
  /** What follows the name in the certificate's dNSName. */
  public static final String SUFFIX = ".agent.pageferry";

  private static final int DNS_NAME = 2;
  private static final Pattern LEGAL = Pattern.compile("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?");

  private AgentName() {}

  /**
   * Whether this may name an agent: 1 to 63 of a-z, 0-9 and '-', not beginning or ending with '-'.
   */
  public static boolean isLegal(String name) {
    return LEGAL.matcher(name).matches();
  }

  /** The dNSName that stands for a name. */
  public static String dnsName(String name) {
    return name + SUFFIX;
  }

  /** The agent's name, or null where the certificate names no agent, or names it in two ways. */
  public static @Nullable String of(X509Certificate certificate) {
    Set<String> names = new HashSet<>();
    try {
      Collection<List<?>> alternatives = certificate.getSubjectAlternativeNames();
      if (alternatives == null) {
        return null;
      }
      for (List<?> alternative : alternatives) {
        if (alternative.size() >= 2
            && Integer.valueOf(DNS_NAME).equals(alternative.get(0))
            && alternative.get(1) instanceof String dns
            && dns.endsWith(SUFFIX)) {
          names.add(dns.substring(0, dns.length() - SUFFIX.length()));
        }
      }
    } catch (CertificateParsingException e) {
      return null;
    }
    if (names.size() != 1) {
      return null;
    }
    String name = names.iterator().next();
    return isLegal(name) && name.equals(commonName(certificate)) ? name : null;
  }

  private static @Nullable String commonName(X509Certificate certificate) {
    try {
      for (Rdn rdn : new LdapName(certificate.getSubjectX500Principal().getName()).getRdns()) {
        if (rdn.getType().equalsIgnoreCase("CN")) {
          return String.valueOf(rdn.getValue());
        }
      }
    } catch (InvalidNameException e) {
      return null;
    }
    return null;
  }
}
