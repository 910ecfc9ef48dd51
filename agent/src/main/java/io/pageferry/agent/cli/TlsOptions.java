package io.pageferry.agent.cli;

import io.pageferry.protocol.channel.Transport;
import io.pageferry.protocol.channel.TransportSettings;
import io.pageferry.protocol.tls.TlsContext;
import io.pageferry.protocol.tls.TlsContexts;
import io.pageferry.protocol.tls.TlsEngineKind;
import io.pageferry.protocol.tls.TlsFiles;
import io.pageferry.protocol.tls.TlsSetupException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** How an agent reaches its peers and proves who it is, a mixin of both agents' commands. */
public final class TlsOptions {
  @Spec(Spec.Target.MIXEE)
  private @Nullable CommandSpec mixee;

  @Option(
      names = "--pki",
      paramLabel = "DIR",
      description =
          "Folder of NAME.crt, NAME.key, ca.crt and crl.pem, as 'pageferry pki' makes them.")
  private @Nullable Path pki;

  @Option(
      names = "--name",
      paramLabel = "NAME",
      description = "This agent's name in the --pki folder.")
  private @Nullable String name;

  @Option(
      names = "--cert",
      paramLabel = "FILE",
      description = "This agent's certificate (default: NAME.crt of --pki).")
  private @Nullable Path certificate;

  @Option(
      names = "--key",
      paramLabel = "FILE",
      description = "Its key, readable by its owner only (default: NAME.key of --pki).")
  private @Nullable Path key;

  @Option(
      names = "--ca",
      paramLabel = "FILE",
      description = "The authority whose agents are trusted (default: ca.crt of --pki).")
  private @Nullable Path authority;

  @Option(
      names = "--crl",
      paramLabel = "FILE",
      description =
          "The authority's revocation list, read again when it changes (default: crl.pem of --pki,"
              + " if there).")
  private @Nullable Path revocationList;

  @Option(
      names = "--tls-engine",
      paramLabel = "ENGINE",
      defaultValue = "auto",
      description = "auto, boringssl, bouncycastle or jdk (default: ${DEFAULT-VALUE}).")
  private TlsEngineKind engine = TlsEngineKind.AUTO;

  @Option(
      names = "--transport",
      paramLabel = "NAME",
      defaultValue = "auto",
      converter = TransportConverter.class,
      description = "auto, epoll, io-uring or nio (default: ${DEFAULT-VALUE}).")
  private Transport transport = Transport.AUTO;

  @Option(
      names = "--plaintext",
      description =
          "Neither encrypt nor authenticate: anyone on the way reads and changes the guest's"
              + " memory. Loopback addresses only.")
  private boolean plaintext;

  @Option(
      names = "--plaintext-anywhere",
      description = "Allow --plaintext beyond loopback as well.")
  private boolean plaintextAnywhere;

  /** Whether the user asked for plain TCP. */
  public boolean plaintext() {
    return plaintext || plaintextAnywhere;
  }

  /** Whether the user says now how the peer is to be reached. */
  public boolean given() {
    return plaintext() || pki != null || certificate != null;
  }

  /** The settings of a source. */
  public TransportSettings clientSettings(InetSocketAddress target, Logger story)
      throws CommandFailure {
    return settings(target, story, true);
  }

  /** The settings of a target. */
  public TransportSettings serverSettings(InetSocketAddress listen, Logger story)
      throws CommandFailure {
    return settings(listen, story, false);
  }

  /**
   * @throws CommandFailure REFUSED for a plain connection beyond loopback and for credentials that
   *     cannot be used
   * @throws ParameterException if it is not said which credentials to use
   */
  private TransportSettings settings(InetSocketAddress address, Logger story, boolean client)
      throws CommandFailure {
    if (plaintext()) {
      checkLoopback(address);
      story.warn(
          "PLAINTEXT: nothing is encrypted and nobody is authenticated; whoever reaches {} can"
              + " read and change the guest's memory",
          AddressConverter.text(address));
      return TransportSettings.plaintext()
          .withTransport(usableTransport())
          .withUrgency(new FaultThreadUrgency());
    }
    try {
      TlsContext tls =
          client ? TlsContexts.client(files(), engine) : TlsContexts.server(files(), engine);
      if (revocationList() == null) {
        story.warn(
            "No revocation list was given: a revoked certificate is accepted until it expires.");
      }
      return TransportSettings.tls(tls)
          .withTransport(usableTransport())
          .withUrgency(new FaultThreadUrgency());
    } catch (TlsSetupException e) {
      throw new CommandFailure(ExitCode.REFUSED, String.valueOf(e.getMessage()), e);
    }
  }

  /**
   * What a recovery needs to reach the same peer the same way: the files' places, never their
   * contents.
   */
  public Map<String, String> remembered() {
    Map<String, String> map = new TreeMap<>();
    map.put("transport", transport.name());
    if (plaintext()) {
      map.put("plaintext", plaintextAnywhere ? "anywhere" : "loopback");
      return map;
    }
    TlsFiles files = files();
    map.put("cert", absolute(files.certificateChain()));
    map.put("key", absolute(files.privateKey()));
    map.put("ca", absolute(files.authority()));
    if (files.revocationList() != null) {
      map.put("crl", absolute(files.revocationList()));
    }
    map.put("engine", engine.name());
    return map;
  }

  /**
   * The settings of a source that takes up an earlier migration: what is given now, else what was
   * {@link #remembered} then.
   */
  public TransportSettings clientSettings(
      InetSocketAddress target, Logger story, Map<String, String> earlier) throws CommandFailure {
    if (given() || !earlier.containsKey("transport")) {
      return clientSettings(target, story);
    }
    transport = Transport.valueOf(earlier.getOrDefault("transport", transport.name()));
    String plain = earlier.get("plaintext");
    if (plain != null) {
      plaintext = true;
      plaintextAnywhere = plain.equals("anywhere");
      return clientSettings(target, story);
    }
    certificate = Path.of(earlier.getOrDefault("cert", ""));
    key = Path.of(earlier.getOrDefault("key", ""));
    authority = Path.of(earlier.getOrDefault("ca", ""));
    String crl = earlier.get("crl");
    revocationList = crl == null ? null : Path.of(crl);
    engine = TlsEngineKind.valueOf(earlier.getOrDefault("engine", engine.name()));
    return clientSettings(target, story);
  }

  private static String absolute(Path file) {
    return file.toAbsolutePath().normalize().toString();
  }

  private void checkLoopback(InetSocketAddress address) throws CommandFailure {
    boolean loopback = address.getAddress() != null && address.getAddress().isLoopbackAddress();
    if (!loopback && !plaintextAnywhere) {
      throw new CommandFailure(
          ExitCode.REFUSED,
          "--plaintext is for loopback addresses and "
              + address.getHostString()
              + " is none: use certificates (pageferry pki init), or --plaintext-anywhere if this"
              + " network may read and change the guest's memory");
    }
  }

  private Transport usableTransport() throws CommandFailure {
    try {
      return transport.resolve();
    } catch (IllegalStateException e) {
      throw new CommandFailure(ExitCode.REFUSED, String.valueOf(e.getMessage()), e);
    }
  }

  /** The credentials that were named, whether or not they exist. */
  public TlsFiles files() {
    return new TlsFiles(
        named(certificate, name == null ? null : name + ".crt", "--cert"),
        named(key, name == null ? null : name + ".key", "--key"),
        named(authority, "ca.crt", "--ca"),
        revocationList());
  }

  public TlsEngineKind engine() {
    return engine;
  }

  public Transport transport() {
    return transport;
  }

  private @Nullable Path revocationList() {
    if (revocationList != null || pki == null) {
      return revocationList;
    }
    Path list = pki.resolve("crl.pem");
    return Files.exists(list) ? list : null;
  }

  private Path named(@Nullable Path given, @Nullable String fileInPki, String option) {
    if (given != null) {
      return given;
    }
    if (pki != null && fileInPki != null) {
      return pki.resolve(fileInPki);
    }
    String missing =
        pki == null
            ? "say who this agent is: --pki DIR --name NAME, or --cert, --key and --ca"
            : "--pki needs --name NAME, or " + option + " FILE";
    if (mixee == null) {
      throw new IllegalStateException(missing);
    }
    throw new ParameterException(mixee.commandLine(), missing);
  }

  /** Transports as they are written on the command line. */
  static final class TransportConverter implements picocli.CommandLine.ITypeConverter<Transport> {
    @Override
    public Transport convert(String text) {
      for (Transport transport : Transport.values()) {
        if (transport.optionName().equals(text.toLowerCase(Locale.ROOT))) {
          return transport;
        }
      }
      throw new picocli.CommandLine.TypeConversionException(
          "'" + text + "' is none of auto, epoll, io-uring and nio");
    }
  }
}
