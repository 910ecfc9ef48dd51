package io.pageferry.integration.process;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How two agents secure what they say to each other.
 *
 * @param pki folder of the certificates, or null for plain TCP
 * @param engine TLS engine to force, or null for the agent's own choice
 */
public record PeerSecurity(@Nullable Path pki, @Nullable String engine) {

  /** Mutual TLS with the certificates of a folder. */
  public static PeerSecurity tls(Path pki) {
    return new PeerSecurity(pki, null);
  }

  /** Plain TCP. */
  public static PeerSecurity plaintext() {
    return new PeerSecurity(null, null);
  }

  /** The same with an engine forced. */
  public PeerSecurity withEngine(@Nullable String other) {
    return new PeerSecurity(pki, other);
  }

  /** The options of the agent of this name. */
  public List<String> arguments(String name) {
    if (pki == null) {
      return List.of("--plaintext");
    }
    List<String> arguments = new ArrayList<>(List.of("--pki", pki.toString(), "--name", name));
    if (engine != null) {
      arguments.addAll(List.of("--tls-engine", engine));
    }
    return arguments;
  }
}
