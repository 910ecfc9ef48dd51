package io.pageferry.agent.pki;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.protocol.pki.CertificateAuthority;
import io.pageferry.protocol.pki.PkiException;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** {@code --pki DIR}, a mixin of every certificate command. */
final class PkiFolder {
  @Option(
      names = "--pki",
      paramLabel = "DIR",
      defaultValue = "pki",
      description = "The authority's folder (default: ${DEFAULT-VALUE}).")
  private Path folder = Path.of("pki");

  Path path() {
    return folder;
  }

  CertificateAuthority load() throws CommandFailure {
    try {
      return CertificateAuthority.load(folder);
    } catch (PkiException e) {
      throw failure(e);
    }
  }

  /** Certificates are no guest's business: what fails here changed nothing. */
  static CommandFailure failure(PkiException e) {
    return new CommandFailure(
        e.isWrongInput() ? ExitCode.USAGE : ExitCode.REFUSED, String.valueOf(e.getMessage()), e);
  }
}
