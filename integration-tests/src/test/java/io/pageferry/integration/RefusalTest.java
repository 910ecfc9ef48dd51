package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.DescriptionFile;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.TemporaryPki;
import io.pageferry.protocol.pki.CertificateAuthority;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What cannot work is said before anything has changed: one sentence, exit code 2 for a mistake on
 * the command line or in a description, 3 for a refusal. One guest lives through all of it and
 * checks itself after each.
 */
@ExtendWith(Hosts.Shared.class)
final class RefusalTest {
  private static final int FAILED = 1;
  private static final int USAGE = 2;
  private static final int REFUSED = 3;
  private static final int CANCELLED = 4;

  private static DemoGuest guest;
  private static Path scratch;

  private Hosts hosts;
  private SourceHost source;

  @BeforeAll
  static void startGuest(Hosts hosts) throws Exception {
    guest = hosts.source().startGuest(Journey.small(hosts)).awaitReady();
    scratch = hosts.workplace().subfolder("refusals");
  }

  @AfterAll
  static void endGuest() throws Exception {
    guest.quit();
  }

  @BeforeEach
  void remember(Hosts shared) {
    hosts = shared;
    source = shared.source();
  }

  @AfterEach
  void theGuestIsUnharmedAndNothingIsLeft() throws Exception {
    Journey after = Journey.observed(source, hosts.target(), guest);
    after.assertUnharmed();
    after.settledOnTarget();
  }

  private Path described() throws Exception {
    return describe(
        DescriptionFile.ofSource(guest.spec(), source.folder(), source.imageFolder(), null).text());
  }

  private static Path describe(String text) throws Exception {
    return Files.writeString(scratch.resolve(guest.spec().name() + ".yaml"), text);
  }

  private void refused(int exit, Departure departure, String... parts) throws Exception {
    Journey journey = Journey.observed(source, hosts.target(), guest, departure);
    assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(exit);
    journey.assertSaid(parts);
  }

  private Departure migrate(Path description, PeerSecurity security, String... options)
      throws Exception {
    return source.migrate(
        description, hosts.target().address(), security, List.of(options), Terminal.DETACHED);
  }

  private Departure migrateTo(String address, PeerSecurity security) throws Exception {
    return source.migrate(described(), address, security, List.of(), Terminal.DETACHED);
  }

  private Path copyOfThePki(String name) throws Exception {
    Path original = Path.of(String.valueOf(hosts.tls().pki()));
    Path copy = hosts.workplace().subfolder("refusals/" + name);
    try (var files = Files.list(original)) {
      for (Path file : files.toList()) {
        Files.copy(
            file,
            copy.resolve(file.getFileName()),
            StandardCopyOption.COPY_ATTRIBUTES,
            StandardCopyOption.REPLACE_EXISTING);
      }
    }
    return copy;
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "an unknown option,      --no-such-option,   --no-such-option",
    "a rate without meaning, --bandwidth=fast,   fast",
    "too many channels,      --channels=17,      --channels",
    "an unknown mode,        --mode=teleport,    teleport",
  })
  void aMistakeOnTheCommandLine(String what, String option, String said) throws Exception {
    refused(USAGE, migrate(described(), hosts.tls(), option), said);
  }

  @Test
  void aDescriptionWithAnUnknownKey() throws Exception {
    String text = Files.readString(described()) + "memmory: []\n";
    refused(USAGE, migrate(describe(text), hosts.tls()), "memmory");
  }

  @Test
  void aDescriptionThatIsNotThere() throws Exception {
    refused(USAGE, migrate(scratch.resolve("nowhere.yaml"), hosts.tls()), "nowhere.yaml");
  }

  @Test
  void aKeyThatOthersCanRead() throws Exception {
    Path pki = copyOfThePki("open-key");
    Path key = pki.resolve("source.key");
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r--r--"));
    refused(REFUSED, migrate(described(), PeerSecurity.tls(pki)), key.toString());
  }

  @Test
  void aKeyThatIsNotThere() throws Exception {
    Path pki = copyOfThePki("no-key");
    Path key = pki.resolve("source.key");
    Files.delete(key);
    refused(REFUSED, migrate(described(), PeerSecurity.tls(pki)), key.toString());
  }

  @Test
  void aKeyThatIsNone() throws Exception {
    Path pki = copyOfThePki("bad-key");
    Path key = pki.resolve("source.key");
    Files.writeString(key, "not a key\n");
    refused(REFUSED, migrate(described(), PeerSecurity.tls(pki)), key.toString());
  }

  @Test
  void aCertificateOfAnotherAuthority() throws Exception {
    Path pki = TemporaryPki.create(hosts.workplace().subfolder("refusals/foreign"), "source");
    refused(REFUSED, migrate(described(), PeerSecurity.tls(pki)), "certificate");
  }

  @Test
  void anExpiredCertificate() throws Exception {
    Path pki = copyOfThePki("expired");
    ExpiredCertificate.replace(pki, "source");
    refused(REFUSED, migrate(described(), PeerSecurity.tls(pki)), "expired");
  }

  @Test
  void aRevokedCertificate() throws Exception {
    Path pki = Path.of(String.valueOf(hosts.tls().pki()));
    CertificateAuthority authority = CertificateAuthority.load(pki);
    authority.issue("revoked", 1);
    Path copy = copyOfThePki("revoked");
    authority.revoke("revoked");
    Files.move(
        copy.resolve("revoked.crt"),
        copy.resolve("source.crt"),
        StandardCopyOption.REPLACE_EXISTING);
    Files.move(
        copy.resolve("revoked.key"),
        copy.resolve("source.key"),
        StandardCopyOption.REPLACE_EXISTING);
    // The source's own list does not know of it yet; the running target reads its list again.
    refused(REFUSED, migrate(described(), PeerSecurity.tls(copy)), "revoked");
  }

  /** The source's own list knows it; the target's is older. */
  @Test
  void aTargetWhoseCertificateIsRevoked() throws Exception {
    Path copy = copyOfThePki("revoked-target");
    CertificateAuthority.load(copy).revoke("target");
    refused(REFUSED, migrate(described(), PeerSecurity.tls(copy)), "revoked");
  }

  /** No source ever sees it. */
  @Test
  void aTargetWhoseCertificateHasExpired() throws Exception {
    Path pki = copyOfThePki("expired-target");
    ExpiredCertificate.replace(pki, "target");
    TargetHost.Starting expired =
        TargetHost.start(hosts.workplace(), "expired", PeerSecurity.tls(pki), List.of());
    assertThat(expired.agent().awaitExit(Journey.LIMIT)).isEqualTo(REFUSED);
    assertThat(expired.agent().transcript().text()).contains("target.crt expired on");
  }

  @Test
  void anImageThatIsTooLargeForAFileThere() throws Exception {
    TargetHost limited =
        TargetHost.start(
                hosts.workplace(),
                "limited",
                "127.0.0.1:0",
                hosts.tls(),
                new Surroundings(
                    List.of("prlimit", "--fsize=" + (16 << 20)), Surroundings.USUAL.environment()),
                List.of())
            .awaitReady();
    limited.expect(guest.spec());
    refused(
        REFUSED, migrateTo(limited.address(), hosts.tls()), guest.spec().name() + ".ram0", "large");
    Journey.observed(source, limited, guest).settledOnTarget();
    limited.agent().close();
  }

  @Test
  void aNameThatMayNotSendThisGuest() throws Exception {
    TargetHost choosy =
        TargetHost.start(
                hosts.workplace(),
                "choosy",
                hosts.tls(),
                List.of("--allow", "source=another", "--allow", "stranger=*"))
            .awaitReady();
    choosy.expect(guest.spec());
    refused(REFUSED, migrateTo(choosy.address(), hosts.tls()), "allow", guest.spec().name());
    choosy.agent().close();
  }

  @Test
  void aTargetOfAnotherName() throws Exception {
    refused(
        REFUSED,
        migrate(described(), hosts.tls(), "--target-name=elsewhere"),
        "not 'elsewhere'",
        "--target-name");
  }

  @Test
  void plainTcpBeyondLoopback() throws Exception {
    refused(REFUSED, migrateTo("192.0.2.1:7000", PeerSecurity.plaintext()), "loopback");
  }

  @Test
  void plainTcpToATargetThatWantsTls() throws Exception {
    Departure departure = migrateTo(hosts.target().address(), PeerSecurity.plaintext());
    Journey journey = Journey.observed(source, hosts.target(), guest, departure);
    assertThat(journey.awaitExit()).describedAs(journey.story()).isIn(1, REFUSED);
    journey.assertSaid(guest.spec().name() + " runs on here");
  }

  @Test
  void aHostThatIsUnknown() throws Exception {
    refused(FAILED, migrateTo("no-such-host.invalid:7000", hosts.tls()), "no-such-host.invalid");
  }

  @Test
  void aTargetThatIsNotThere() throws Exception {
    refused(FAILED, migrateTo("127.0.0.1:1", hosts.tls()), "127.0.0.1:1");
  }

  @Test
  void anImageThatIsNotThere() throws Exception {
    refused(
        REFUSED,
        migrate(withImage(scratch.resolve("no-image"), null), hosts.tls()),
        "cannot open memory image",
        "no-image",
        "nothing was changed");
  }

  @Test
  void anImageThatIsTooSmall() throws Exception {
    Path image = Files.write(scratch.resolve("small-image"), new byte[8192]);
    refused(
        REFUSED,
        migrate(withImage(image, "48M"), hosts.tls()),
        "small-image has 8192 bytes, 50331648 are described");
  }

  @Test
  void anImageThatEndsInMidPage() throws Exception {
    Path image = Files.write(scratch.resolve("odd-image"), new byte[8193]);
    refused(
        REFUSED,
        migrate(withImage(image, null), hosts.tls()),
        "odd-image",
        "not a multiple of the page size");
  }

  @Test
  void anImageThatIsAFolder() throws Exception {
    refused(
        REFUSED,
        migrate(withImage(scratch, null), hosts.tls()),
        scratch + " is not a memory image");
  }

  /** A guest that was moved without its memory would be lost. */
  @Test
  void anImageThatIsNotTheGuestsMemory() throws Exception {
    Path own = guest.images().getFirst();
    Path image = own.resolveSibling("another");
    try (FileChannel file =
        FileChannel.open(image, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.allocate(1), Files.size(own) - 1);
      hosts.target().expect(guest.spec());
      refused(
          REFUSED,
          migrate(withImage(image, null), hosts.tls()),
          "is not that of guest " + guest.spec().name(),
          image.toString(),
          "runs on here");
    } finally {
      Files.delete(image);
    }
  }

  private Path withImage(Path image, @Nullable String size) throws Exception {
    String own = guest.images().getFirst().toString();
    String text = Files.readString(described());
    assertThat(text).contains(own);
    text =
        text.replace(
            "\"" + own + "\"", "\"" + image + "\"" + (size == null ? "" : "\n    size: " + size));
    return describe(text);
  }

  @Test
  void aGuestThatHasNoSocket() throws Exception {
    refused(REFUSED, migrate(withSocket(scratch.resolve("nobody.qmp")), hosts.tls()), "nobody.qmp");
  }

  @Test
  void aGuestThatDoesNotAnswer() throws Exception {
    Path socket = scratch.resolve("mute.qmp");
    try (ServerSocketChannel mute = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      mute.bind(UnixDomainSocketAddress.of(socket));
      refused(REFUSED, migrate(withSocket(socket), hosts.tls()), "does not answer");
    } finally {
      Files.deleteIfExists(socket);
    }
  }

  private Path withSocket(Path socket) throws Exception {
    return describe(
        Files.readString(described())
            .replace("\"" + guest.qmp() + "\"", "\"" + socket + "\"")
            .replace("timeout: 10s", "timeout: 1s"));
  }

  @Test
  void aGuestThatMovesAlready() throws Exception {
    DemoGuest moving = source.startGuest(Journey.small(hosts)).awaitReady();
    Journey first = Journey.begin(hosts, moving, "--bandwidth", "4MB/s", "--compress", "off");
    first.departure().agent().awaitLine("the first round", Journey.FIRST_ROUND, Journey.LIMIT);
    Path description = source.folder().resolve(moving.spec().name() + ".yaml");
    Path again =
        Files.copy(description, scratch.resolve("again.yaml"), StandardCopyOption.REPLACE_EXISTING);
    refused(REFUSED, migrate(again, hosts.tls()), "locked");
    // Nor is the first one disturbed by that.
    first.departure().agent().signal(Signal.INT);
    first.assertStayed(CANCELLED, "cancelled", "runs on here");
  }

  @Test
  void aGuestThatTheTargetDoesNotKnow() throws Exception {
    Files.deleteIfExists(hosts.target().descriptionOf(guest.spec()));
    refused(REFUSED, migrate(described(), hosts.tls()), "no description", guest.spec().name());
  }

  @Test
  void aGuestThatTheTargetKnowsOtherwise() throws Exception {
    hosts.target().expect(guest.spec().withRegions(2));
    refused(REFUSED, migrate(described(), hosts.tls()), "regions");
  }

  @Test
  void anImageThatTheTargetHasAlready() throws Exception {
    hosts.target().expect(guest.spec());
    Path image = guest.spec().images(hosts.target().imageFolder()).getFirst();
    Files.writeString(image, "precious");
    refused(REFUSED, migrate(described(), hosts.tls()), image.toString());
    assertThat(image).hasContent("precious");
    Files.delete(image);
  }

  @Test
  void aGuestThatDoesNotStartOnTheTarget() throws Exception {
    Path file = hosts.target().descriptionOf(guest.spec());
    hosts.target().expect(guest.spec());
    Files.writeString(
        file, Files.readString(file).replaceAll("(?m)^launch: .*$", "launch: [\"false\"]"));
    refused(REFUSED, migrate(described(), hosts.tls()), "guest");
  }

  @Test
  void aTargetWithoutRoomForTheImage() throws Exception {
    Path full = hosts.workplace().subfolder("refusals/full");
    Mount.tmpfs(full, "8m");
    try {
      describeOnTarget(full.resolve("ram"));
      refused(REFUSED, migrate(described(), hosts.tls()), full.toString());
      assertThat(full).isEmptyDirectory();
    } finally {
      Mount.remove(full);
    }
  }

  @Test
  void aTargetThatMayNotWriteTheImage() throws Exception {
    Path readOnly = hosts.workplace().subfolder("refusals/not-writable");
    Mount.tmpfs(readOnly, "64m");
    try {
      Mount.readOnly(readOnly);
      describeOnTarget(readOnly.resolve("ram"));
      refused(
          REFUSED,
          migrate(described(), hosts.tls()),
          readOnly.resolve("ram").toString(),
          "read-only file system");
    } finally {
      Mount.remove(readOnly);
    }
  }

  /** The target is to put the guest's image there. */
  private void describeOnTarget(Path place) throws Exception {
    DemoGuestSpec spec = guest.spec();
    Path file = hosts.target().descriptionOf(spec);
    hosts.target().expect(spec);
    String image = spec.images(hosts.target().imageFolder()).getFirst().toString();
    Files.writeString(file, Files.readString(file).replace(image, place.toString()));
  }

  @Test
  void anImageOnAReadOnlyFileSystem() throws Exception {
    Path readOnly = hosts.workplace().subfolder("refusals/read-only");
    Mount.tmpfs(readOnly, "8m");
    try {
      Path image = Files.write(readOnly.resolve("fixed-image"), new byte[8192]);
      Mount.readOnly(readOnly);
      refused(
          REFUSED,
          migrate(withImage(image, null), hosts.tls()),
          "fixed-image",
          "read-only file system");
    } finally {
      Mount.remove(readOnly);
    }
  }

  @Test
  void aTargetWhosePortIsTaken() throws Exception {
    TargetHost.Starting second =
        TargetHost.start(
            hosts.workplace(),
            "second",
            hosts.target().address(),
            hosts.tls(),
            Surroundings.USUAL,
            List.of());
    assertThat(second.agent().awaitExit(Journey.LIMIT))
        .describedAs(second.agent().state())
        .isEqualTo(FAILED);
    assertThat(second.agent().transcript().text())
        .contains("pageferry: ")
        .contains(Integer.toString(hosts.target().port()));
  }

  @Test
  void aTargetWhoseKeyOthersCanRead() throws Exception {
    Path pki = copyOfThePki("open-target-key");
    Path key = pki.resolve("target.key");
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r--r--"));
    TargetHost.Starting careless =
        TargetHost.start(hosts.workplace(), "careless", PeerSecurity.tls(pki), List.of());
    assertThat(careless.agent().awaitExit(Journey.LIMIT)).isEqualTo(REFUSED);
    assertThat(careless.agent().transcript().text()).contains(key.toString());
  }
}
