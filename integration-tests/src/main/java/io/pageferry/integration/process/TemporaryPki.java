package io.pageferry.integration.process;

import io.pageferry.protocol.pki.CertificateAuthority;
import java.io.IOException;
import java.nio.file.Path;

/** Certificates for one run: an authority of its own that nothing else trusts. */
public final class TemporaryPki {
  private TemporaryPki() {}

  /**
   * Makes an authority and a certificate for each agent.
   *
   * @param folder an empty folder
   * @param names the agents
   * @return the folder
   * @throws IOException if it cannot be written
   */
  public static Path create(Path folder, String... names) throws IOException {
    CertificateAuthority authority =
        CertificateAuthority.create(folder, "Pageferry temporary authority");
    for (String name : names) {
      authority.issue(name, CertificateAuthority.AGENT_DAYS);
    }
    return folder;
  }
}
