package io.pageferry.protocol.channel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import io.pageferry.protocol.channel.PeerLostException.Kind;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Progress;
import io.pageferry.protocol.pki.AgentCertificate;
import io.pageferry.protocol.pki.TestAuthority;
import io.pageferry.protocol.tls.TestTls;
import io.pageferry.protocol.tls.TlsContext;
import io.pageferry.protocol.tls.TlsContexts;
import io.pageferry.protocol.tls.TlsEngineKind;
import io.pageferry.protocol.tls.TlsFiles;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

@NullMarked
@Timeout(180)
final class TlsChannelTest {
  private static final List<TlsEngineKind> ENGINES =
      List.of(TlsEngineKind.BORINGSSL, TlsEngineKind.BOUNCYCASTLE, TlsEngineKind.JDK);

  @TempDir Path directory;
  private TestAuthority authority;
  private TestAuthority foreign;

  /**
   * What is wrong with a certificate, as the refusing side says it, and as the refused side is told
   * by an alert.
   */
  enum Fault {
    EXPIRED("expired on", "has expired, or is not yet valid, by its clock"),
    NOT_YET_VALID("is not valid before", "by its clock"),
    REVOKED("was revoked on", "has been revoked"),
    FOREIGN("was issued by another authority than ours", "by another authority than its own"),
    SELF_SIGNED("is self-signed", "by another authority than its own");

    final String here;
    final String there;

    Fault(String here, String there) {
      this.here = here;
      this.there = there;
    }

    /** Some engines know fewer alerts than there are faults. */
    boolean isTold(String sentence) {
      return sentence.contains(there) || sentence.contains("does not trust our certificate");
    }
  }

  @BeforeEach
  void makeAuthorities() throws Exception {
    authority = new TestAuthority(directory.resolve("ours"));
    foreign = new TestAuthority(directory.resolve("foreign"));
  }

  static Stream<Arguments> enginePairs() {
    return ENGINES.stream()
        .flatMap(client -> ENGINES.stream().map(server -> Arguments.of(client, server)));
  }

  static Stream<Arguments> faults() {
    return ENGINES.stream()
        .flatMap(engine -> Stream.of(Fault.values()).map(fault -> Arguments.of(engine, fault)));
  }

  @ParameterizedTest
  @MethodSource("enginePairs")
  void everyEngineTalksToEveryOther(TlsEngineKind client, TlsEngineKind server) throws Exception {
    TransportSettings serving =
        TransportSettings.tls(TlsContexts.server(authority.agent("target"), server));
    TransportSettings connecting =
        TransportSettings.tls(TlsContexts.client(authority.agent("source"), client));
    try (Wire wire = new Wire(serving, connecting);
        Wire.Ends ends = wire.join()) {
      ends.target().send(new Goodbye());
      assertThat(ends.source().receive(Wire.SOON)).isEqualTo(new Goodbye());
      String group =
          client == TlsEngineKind.JDK || server == TlsEngineKind.JDK ? "x25519" : "X25519MLKEM768";
      assertThat(ends.source().peer().name()).isEqualTo("target");
      assertThat(ends.target().peer().name()).isEqualTo("source");
      for (PeerChannel end : List.of(ends.source(), ends.target())) {
        assertThat(end.peer().tlsProtocol()).isEqualTo("TLSv1.3");
        assertThat(end.peer().tlsGroup()).isEqualTo(group);
        assertThat(end.peer().certificateSha256()).hasSize(32);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("faults")
  void sourceRefusesTarget(TlsEngineKind engine, Fault fault) throws Exception {
    TransportSettings serving = TransportSettings.tls(faulty(fault, engine, false));
    TransportSettings connecting =
        TransportSettings.tls(TlsContexts.client(authority.agent("good"), engine));
    try (CapturedLog log = new CapturedLog(PeerAcceptor.class);
        Wire wire = new Wire(serving, connecting)) {
      PeerLostException lost =
          catchThrowableOfType(PeerLostException.class, () -> wire.connector.connect(wire.address));
      assertThat(lost)
          .hasMessageStartingWith("this side refused 127.0.0.1:" + wire.address.getPort())
          .hasMessageContaining("its certificate " + fault.here);
      assertThat(lost.kind()).isEqualTo(Kind.TLS_REFUSED);
      await().atMost(Wire.SOON).until(() -> !log.lines().isEmpty());
      assertThat(log.lines().get(0)).contains(" refused this side: ");
      assertThat(log.lines().get(0)).matches(fault::isTold);
    }
  }

  @ParameterizedTest
  @MethodSource("faults")
  void targetRefusesSource(TlsEngineKind engine, Fault fault) throws Exception {
    TransportSettings connecting = TransportSettings.tls(faulty(fault, engine, true));
    TransportSettings serving =
        TransportSettings.tls(TlsContexts.server(authority.agent("good"), engine));
    try (CapturedLog log = new CapturedLog(PeerAcceptor.class);
        Wire wire = new Wire(serving, connecting)) {
      PeerLostException lost = catchThrowableOfType(PeerLostException.class, () -> converse(wire));
      assertThat(lost)
          .hasMessageStartingWith("127.0.0.1:" + wire.address.getPort() + " refused this side: ");
      assertThat(String.valueOf(lost.getMessage())).matches(fault::isTold);
      assertThat(lost.kind()).isEqualTo(Kind.TLS_REFUSED);
      await().atMost(Wire.SOON).until(() -> !log.lines().isEmpty());
      assertThat(log.lines().get(0))
          .startsWith("this side refused 127.0.0.1:")
          .contains("its certificate " + fault.here);
      assertThat(wire.accepted).isEmpty();
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = TlsEngineKind.class,
      names = {"BORINGSSL", "BOUNCYCASTLE", "JDK"})
  void aClientOfTls12OrWithoutCertificateIsRefused(TlsEngineKind engine) throws Exception {
    TransportSettings serving =
        TransportSettings.tls(TlsContexts.server(authority.agent("target"), engine));
    try (CapturedLog log = new CapturedLog(PeerAcceptor.class);
        Wire wire = new Wire(serving, TransportSettings.plaintext())) {
      handshake(wire, "TLSv1.2");
      await().atMost(Wire.SOON).until(() -> log.lines().size() == 1);
      assertThat(log.lines().get(0)).endsWith("it does not speak TLS 1.3");
      handshake(wire, "TLSv1.3");
      await().atMost(Wire.SOON).until(() -> log.lines().size() == 2);
      assertThat(log.lines().get(1)).endsWith("it presented no certificate");
      assertThat(wire.accepted).isEmpty();
    }
  }

  /** A client that trusts our authority, presents nothing, and speaks one version. */
  private void handshake(Wire wire, String protocol) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    try (InputStream in = Files.newInputStream(authority.directory().resolve("ca.crt"))) {
      store.setCertificateEntry(
          "ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
    }
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    try (SSLSocket socket =
        (SSLSocket)
            context
                .getSocketFactory()
                .createSocket(wire.address.getAddress(), wire.address.getPort())) {
      socket.setSoTimeout(60_000);
      socket.setEnabledProtocols(new String[] {protocol});
      socket.startHandshake();
      assertThat(socket.getInputStream().read()).isEqualTo(-1);
    } catch (SSLException e) {
      assertThat(e.getMessage()).contains("fatal alert");
    }
  }

  @Test
  void aRenewedCertificateIsGoodAndTheReplacedOneUntilItIsRevoked() throws Exception {
    TransportSettings serving =
        TransportSettings.tls(TlsContexts.server(authority.agent("target"), TlsEngineKind.JDK));
    TlsFiles files = authority.agent("source");
    TransportSettings replaced =
        TransportSettings.tls(TlsContexts.client(files, TlsEngineKind.JDK));
    BigInteger serial = newestOf("source").serial();
    authority.authority().renew("source", 1);
    TransportSettings renewed = TransportSettings.tls(TlsContexts.client(files, TlsEngineKind.JDK));
    assertThat(nameThatArrives(serving, replaced)).isEqualTo("source");
    assertThat(nameThatArrives(serving, renewed)).isEqualTo("source");

    authority.authority().revoke(serial.toString(16));
    assertThat(nameThatArrives(serving, renewed)).isEqualTo("source");
    try (Wire wire = new Wire(serving, replaced)) {
      PeerLostException lost = catchThrowableOfType(PeerLostException.class, () -> converse(wire));
      assertThat(lost.kind()).isEqualTo(Kind.TLS_REFUSED);
    }
  }

  private AgentCertificate newestOf(String name) throws Exception {
    return authority.authority().agents().stream()
        .filter(each -> each.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private static String nameThatArrives(TransportSettings serving, TransportSettings connecting)
      throws Exception {
    try (Wire wire = new Wire(serving, connecting);
        Wire.Ends ends = wire.join()) {
      return ends.target().peer().name();
    }
  }

  private static void converse(Wire wire) throws Exception {
    try (PeerChannel source = wire.connector.connect(wire.address)) {
      source.send(new Progress(1));
      source.receive(Duration.ofSeconds(60));
    }
  }

  private TlsContext faulty(Fault fault, TlsEngineKind engine, boolean client) throws Exception {
    Instant now = Instant.now();
    Instant lastWeek = now.minus(Duration.ofDays(7));
    Instant yesterday = now.minus(Duration.ofDays(1));
    Instant tomorrow = now.plus(Duration.ofDays(1));
    Instant nextWeek = now.plus(Duration.ofDays(7));
    Path trusted = authority.directory().resolve("ca.crt");
    return switch (fault) {
      case EXPIRED ->
          TestTls.atTime(
              authority.agent("bad", lastWeek, yesterday),
              engine,
              client,
              yesterday.minusSeconds(60));
      case NOT_YET_VALID ->
          TestTls.unchecked(authority.agent("bad", tomorrow, nextWeek), trusted, engine, client);
      case REVOKED -> {
        TlsFiles files = authority.agent("bad");
        authority.authority().revoke("bad");
        yield client ? TlsContexts.client(files, engine) : TlsContexts.server(files, engine);
      }
      case FOREIGN -> TestTls.unchecked(foreign.agent("bad"), trusted, engine, client);
      case SELF_SIGNED -> TestTls.unchecked(authority.selfSigned("bad"), trusted, engine, client);
    };
  }
}
