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
 * @param exchanged whether each agent has the certificate that the other one usually has, as on the
 *     way back
 */
public record PeerSecurity(@Nullable Path pki, @Nullable String engine, boolean exchanged) {

  /** Mutual TLS with the certificates of a folder. */
  public static PeerSecurity tls(Path pki) {
    return new PeerSecurity(pki, null, false);
  }

  /** Plain TCP. */
  public static PeerSecurity plaintext() {
    return new PeerSecurity(null, null, false);
  }

  /** The same with an engine forced. */
  public PeerSecurity withEngine(@Nullable String other) {
    return new PeerSecurity(pki, other, exchanged);
  }

  /** The same for a guest that goes back. */
  public PeerSecurity exchange() {
    return new PeerSecurity(pki, engine, !exchanged);
  }

  /** The options of the agent of this name. */
  public List<String> arguments(String name) {
    if (pki == null) {
      return List.of("--plaintext");
    }
    List<String> arguments =
        new ArrayList<>(List.of("--pki", pki.toString(), "--name", exchanged ? other(name) : name));
    if (engine != null) {
      arguments.addAll(List.of("--tls-engine", engine));
    }
    return arguments;
  }

  private static String other(String name) {
    return switch (name) {
      case "source" -> "target";
      case "target" -> "source";
      default -> name;
    };
  }
}
