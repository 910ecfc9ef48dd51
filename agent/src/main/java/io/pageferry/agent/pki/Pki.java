package io.pageferry.agent.pki;

import io.pageferry.agent.cli.AgentCommandLine;
import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.protocol.pki.AgentCertificate;
import io.pageferry.protocol.pki.CertificateAuthority;
import io.pageferry.protocol.pki.PkiException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code pageferry pki}: the authority that makes two agents trust each other. */
@Command(
    name = "pageferry pki",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = "Makes and looks after the certificates of the agents.",
    footer = {
      "",
      "Two agents trust each other when the same authority signed both. Make it once, in a safe"
          + " place, issue a certificate for each agent, and copy to each host its own certificate"
          + " and key, ca.crt and crl.pem. ca.key stays where it was made."
    })
public final class Pki {
  @Spec private @Nullable CommandSpec spec;

  @SuppressWarnings("UnusedVariable") // AgentCommandLine finds it among the mixins
  @Mixin
  private LoggingOptions logging = new LoggingOptions();

  private Pki() {}

  public static void main(String[] args) {
    AgentCommandLine.main(new Pki(), args);
  }

  /** For tests: the same without ending the process. */
  static int run(String... args) {
    return AgentCommandLine.run(new Pki(), args);
  }

  @Command(name = "init", mixinStandardHelpOptions = true, description = "Makes a new authority.")
  ExitCode init(
      @Mixin PkiFolder folder,
      @Option(
              names = "--ca-name",
              paramLabel = "NAME",
              defaultValue = "Pageferry CA",
              description = "What it calls itself (default: ${DEFAULT-VALUE}).")
          String name)
      throws CommandFailure {
    try {
      AgentCertificate authority = CertificateAuthority.create(folder.path(), name).authority();
      say("Made the authority '%s', valid until %s.".formatted(authority.name(), until(authority)));
      say("  %s   its certificate: every agent needs a copy".formatted(file(folder, "ca.crt")));
      say(
          "  %s  what it revoked: every agent should have a copy"
              .formatted(file(folder, "crl.pem")));
      say(
          "  %s   its key: whoever has it can be any agent; keep it here"
              .formatted(file(folder, "ca.key")));
      say("Next: pageferry pki issue NAME --pki %s, once for each agent.".formatted(folder.path()));
      return ExitCode.DONE;
    } catch (PkiException e) {
      throw PkiFolder.failure(e);
    }
  }

  @Command(
      name = "issue",
      mixinStandardHelpOptions = true,
      description = "Issues a certificate and a key for a new agent.")
  ExitCode issue(
      @Mixin PkiFolder folder,
      @Parameters(paramLabel = "NAME", description = "The agent's name.") String name,
      @Mixin Validity validity)
      throws CommandFailure {
    try {
      sayWhoNeedsWhat("Issued", folder, folder.load().issue(name, validity.days));
      return ExitCode.DONE;
    } catch (PkiException e) {
      throw PkiFolder.failure(e);
    }
  }

  @Command(
      name = "renew",
      mixinStandardHelpOptions = true,
      description =
          "Issues a new certificate and key for an agent that has one. The old certificate stays"
              + " valid until it expires or is revoked by its serial number.")
  ExitCode renew(
      @Mixin PkiFolder folder,
      @Parameters(paramLabel = "NAME", description = "The agent's name.") String name,
      @Mixin Validity validity)
      throws CommandFailure {
    try {
      sayWhoNeedsWhat("Renewed", folder, folder.load().renew(name, validity.days));
      return ExitCode.DONE;
    } catch (PkiException e) {
      throw PkiFolder.failure(e);
    }
  }

  @Command(
      name = "revoke",
      mixinStandardHelpOptions = true,
      description = "Revokes all certificates of an agent, or the one with that serial number.")
  ExitCode revoke(
      @Mixin PkiFolder folder,
      @Parameters(
              paramLabel = "NAME|SERIAL",
              description = "The agent's name, or a serial number as 'pki show' prints it.")
          String nameOrSerial)
      throws CommandFailure {
    try {
      List<AgentCertificate> revoked = folder.load().revoke(nameOrSerial);
      for (AgentCertificate each : revoked) {
        say("Revoked the certificate of '%s', serial %s.".formatted(each.name(), serial(each)));
      }
      say(
          "Copy %s to every agent: it takes effect there at once, without a restart."
              .formatted(file(folder, "crl.pem")));
      return ExitCode.DONE;
    } catch (PkiException e) {
      throw PkiFolder.failure(e);
    }
  }

  @Command(
      name = "show",
      mixinStandardHelpOptions = true,
      description = "Lists the authority and the certificates it issued.")
  ExitCode show(@Mixin PkiFolder folder) throws CommandFailure {
    try {
      CertificateAuthority authority = folder.load();
      List<AgentCertificate> all = new ArrayList<>();
      all.add(authority.authority());
      all.addAll(authority.agents());
      int width = all.stream().mapToInt(each -> each.name().length()).max().orElse(0);
      say(("%-" + width + "s  %-13s  %-10s  %s").formatted("NAME", "STATE", "UNTIL", "SERIAL"));
      for (AgentCertificate each : all) {
        say(
            ("%-" + width + "s  %-13s  %-10s  %s")
                .formatted(
                    each.name(),
                    each.status().name().toLowerCase(Locale.ROOT).replace('_', ' '),
                    until(each),
                    serial(each)));
      }
      return ExitCode.DONE;
    } catch (PkiException e) {
      throw PkiFolder.failure(e);
    }
  }

  /** {@code --days N}. */
  static final class Validity {
    @Option(
        names = "--days",
        paramLabel = "N",
        defaultValue = "" + CertificateAuthority.AGENT_DAYS,
        description = "How long it is valid (default: ${DEFAULT-VALUE}).")
    private int days;
  }

  private void sayWhoNeedsWhat(String done, PkiFolder folder, AgentCertificate issued) {
    String name = issued.name();
    say(
        "%s the certificate of '%s', valid until %s, serial %s."
            .formatted(done, name, until(issued), serial(issued)));
    say("  %s  its certificate".formatted(file(folder, name + ".crt")));
    say("  %s  its key, readable by its owner only".formatted(file(folder, name + ".key")));
    say(
        "The host of '%s' needs these two, %s and %s; start its agent with --pki DIR --name %s."
            .formatted(name, file(folder, "ca.crt"), file(folder, "crl.pem"), name));
  }

  private static Path file(PkiFolder folder, String name) {
    return folder.path().resolve(name);
  }

  private static LocalDate until(AgentCertificate certificate) {
    return certificate.notAfter().atZone(ZoneOffset.UTC).toLocalDate();
  }

  private static String serial(AgentCertificate certificate) {
    return certificate.serial().toString(16);
  }

  private void say(String line) {
    if (spec == null) {
      throw new IllegalStateException("not run by picocli");
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(line);
    out.flush();
  }
}
