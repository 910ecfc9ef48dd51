package io.pageferry.protocol.pki;

import io.pageferry.protocol.pki.AgentCertificate.Status;
import io.pageferry.protocol.pki.CertificateMaker.Revoked;
import io.pageferry.protocol.tls.AgentName;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509CRL;
import java.security.cert.X509CRLEntry;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.operator.OperatorCreationException;
import org.jspecify.annotations.Nullable;

/**
 * The authority that names agents, in a directory: {@code ca.crt}, {@code ca.key}, {@code crl.pem},
 * {@code issued.txt}, and {@code NAME.crt}, {@code NAME.key} for each agent.
 *
 * <p>Keys are P-256, written with mode 0600. The authority lives for 10 years, an agent's
 * certificate for {@value #AGENT_DAYS} days unless told otherwise, a revocation list for a year:
 * every {@link #issue}, {@link #renew} and {@link #revoke} makes a new one, and {@link
 * #refreshRevocationList} does only that.
 *
 * <p>Files are replaced whole. Any number of processes may use one directory: those that change it
 * wait for each other.
 */
public final class CertificateAuthority {
  /** Validity of an agent's certificate unless told otherwise, in days. */
  public static final int AGENT_DAYS = 90;

  public static final int MAX_AGENT_DAYS = 3650;

  private static final String CERTIFICATE = "ca.crt";
  private static final String KEY = "ca.key";
  private static final String LIST = "crl.pem";
  private static final String LOCK = ".lock";
  private static final int AUTHORITY_DAYS = 3652;
  private static final Duration LIST_VALIDITY = Duration.ofDays(365);

  /**
   * A peer's clock may be behind by this much and still take a certificate that was made just now.
   */
  private static final Duration CLOCK_SKEW = Duration.ofMinutes(5);

  private static final Pattern AUTHORITY_NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}");
  private static final Pattern SERIAL = Pattern.compile("(?:0[xX])?([0-9a-fA-F]{32})");

  private final Path directory;
  private final X509Certificate certificate;
  private final PrivateKey key;

  private CertificateAuthority(Path directory, X509Certificate certificate, PrivateKey key) {
    this.directory = directory;
    this.certificate = certificate;
    this.key = key;
  }

  /**
   * Makes a new authority.
   *
   * @param directory made (mode 0700) if it is not there
   * @param name common name of the authority: 1 to 63 letters, digits, blanks, '.', '_', '-'
   * @throws PkiException if the directory already holds an authority: replacing it would make every
   *     agent a stranger
   */
  public static CertificateAuthority create(Path directory, String name) throws PkiException {
    if (!AUTHORITY_NAME.matcher(name).matches()) {
      throw PkiException.ofWrongInput("\"" + name + "\" cannot name an authority");
    }
    AuthorityFiles.makeDirectory(directory);
    try (Lock _ = Lock.of(directory)) {
      for (String file : List.of(CERTIFICATE, KEY, LIST)) {
        if (Files.exists(directory.resolve(file))) {
          throw new PkiException(
              directory + " already holds an authority (" + file + "): nothing was changed");
        }
      }
      KeyPair pair = CertificateMaker.newKey();
      Instant now = Instant.now();
      X509Certificate certificate =
          CertificateMaker.authority(
              name, pair, now.minus(CLOCK_SKEW), now.plus(Duration.ofDays(AUTHORITY_DAYS)));
      CertificateAuthority authority =
          new CertificateAuthority(directory, certificate, pair.getPrivate());
      AuthorityFiles.writeSecret(directory.resolve(KEY), CertificateMaker.pem(pair.getPrivate()));
      authority.writeList(BigInteger.ONE, List.of(), now, now.plus(LIST_VALIDITY));
      // Last, because an authority is there when its certificate is.
      AuthorityFiles.writePublic(directory.resolve(CERTIFICATE), CertificateMaker.pem(certificate));
      return authority;
    } catch (GeneralSecurityException | IOException | OperatorCreationException e) {
      throw failure("cannot make an authority in " + directory, e);
    }
  }

  /** Opens the authority in a directory. */
  public static CertificateAuthority load(Path directory) throws PkiException {
    Path file = directory.resolve(CERTIFICATE);
    try {
      X509Certificate certificate = readCertificate(file);
      Path keyFile = directory.resolve(KEY);
      String pem = Files.readString(keyFile, StandardCharsets.US_ASCII);
      String base64 = pem.replaceAll("-----[A-Z ]+-----", "");
      PrivateKey key =
          KeyFactory.getInstance("EC")
              .generatePrivate(new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(base64)));
      return new CertificateAuthority(directory, certificate, key);
    } catch (NoSuchFileException e) {
      throw new PkiException(
          directory + " holds no authority (" + e.getFile() + " does not exist)", e);
    } catch (GeneralSecurityException | IOException | IllegalArgumentException e) {
      throw failure("the authority in " + directory + " cannot be used", e);
    }
  }

  /**
   * Issues a key and a certificate for an agent.
   *
   * @param name 1 to 63 of a-z, 0-9 and '-', not "ca"
   * @param days 1 to {@value #MAX_AGENT_DAYS}, and not beyond the authority's own end
   * @throws PkiException also if the name has a certificate that is neither revoked nor expired
   */
  public AgentCertificate issue(String name, int days) throws PkiException {
    return issueFromNow(name, days, false);
  }

  /**
   * A new key and certificate for a name that has had one. The replaced certificate stays good
   * until it expires, so that agents can be changed over one after the other; {@link #revoke} by
   * its serial ends it at once.
   */
  public AgentCertificate renew(String name, int days) throws PkiException {
    return issueFromNow(name, days, true);
  }

  private AgentCertificate issueFromNow(String name, int days, boolean renewal)
      throws PkiException {
    if (days < 1 || days > MAX_AGENT_DAYS) {
      throw PkiException.ofWrongInput(
          "a certificate is valid for 1 to " + MAX_AGENT_DAYS + " days, not " + days);
    }
    Instant now = Instant.now();
    return issue(name, now.minus(CLOCK_SKEW), now.plus(Duration.ofDays(days)), renewal);
  }

  AgentCertificate issue(String name, Instant notBefore, Instant notAfter, boolean renewal)
      throws PkiException {
    if (!AgentName.isLegal(name) || name.equals("ca")) {
      throw PkiException.ofWrongInput(
          "\"" + name + "\" cannot name an agent: 1 to 63 of a-z, 0-9 and '-', and not \"ca\"");
    }
    if (notAfter.isAfter(certificate.getNotAfter().toInstant())) {
      throw new PkiException(
          "the authority itself ends on "
              + certificate.getNotAfter().toInstant()
              + ": ask for fewer days");
    }
    try (Lock _ = Lock.of(directory)) {
      List<AgentCertificate> known = agents();
      boolean exists = known.stream().anyMatch(each -> each.name().equals(name));
      boolean good =
          known.stream()
              .anyMatch(
                  each ->
                      each.name().equals(name)
                          && each.status() != Status.REVOKED
                          && each.status() != Status.EXPIRED);
      if (renewal && !exists) {
        throw new PkiException("agent " + name + " has no certificate to renew: issue one");
      }
      if (!renewal && good) {
        throw new PkiException("agent " + name + " already has a certificate: renew or revoke it");
      }
      KeyPair pair = CertificateMaker.newKey();
      X509Certificate made =
          CertificateMaker.agent(name, pair, certificate, key, notBefore, notAfter);
      // The index first: a certificate that is out but not in the index could not be revoked by
      // name.
      List<IssuedIndex.Entry> index = IssuedIndex.read(directory);
      index.add(
          new IssuedIndex.Entry(
              made.getSerialNumber(),
              name,
              made.getNotBefore().toInstant(),
              made.getNotAfter().toInstant()));
      IssuedIndex.write(directory, index);
      AuthorityFiles.writeSecret(
          directory.resolve(name + ".key"), CertificateMaker.pem(pair.getPrivate()));
      AuthorityFiles.writePublic(directory.resolve(name + ".crt"), CertificateMaker.pem(made));
      rewriteList(List.of());
      return new AgentCertificate(
          name,
          made.getSerialNumber(),
          made.getNotBefore().toInstant(),
          made.getNotAfter().toInstant(),
          status(made.getNotBefore().toInstant(), made.getNotAfter().toInstant(), false),
          directory.resolve(name + ".crt"));
    } catch (GeneralSecurityException | IOException | OperatorCreationException e) {
      throw failure("cannot issue a certificate for " + name, e);
    }
  }

  /**
   * Revokes every certificate of an agent that has not expired, or the one with a serial number (32
   * hexadecimal digits). The new {@code crl.pem} takes effect on each agent as soon as that agent's
   * copy of it is replaced.
   *
   * @return what is revoked now and was not before; empty if all of it was
   * @throws PkiException if nothing of this name or number was ever issued here
   */
  public List<AgentCertificate> revoke(String nameOrSerial) throws PkiException {
    var serial = SERIAL.matcher(nameOrSerial);
    @Nullable BigInteger number = serial.matches() ? new BigInteger(serial.group(1), 16) : null;
    try (Lock _ = Lock.of(directory)) {
      List<AgentCertificate> meant =
          agents().stream()
              .filter(
                  each ->
                      number != null
                          ? each.serial().equals(number)
                          : each.name().equals(nameOrSerial))
              .toList();
      if (meant.isEmpty()) {
        throw new PkiException("nothing was issued here for \"" + nameOrSerial + "\"");
      }
      List<AgentCertificate> revoked = new ArrayList<>();
      for (AgentCertificate each : meant) {
        if (each.status() != Status.REVOKED && each.status() != Status.EXPIRED) {
          revoked.add(
              new AgentCertificate(
                  each.name(),
                  each.serial(),
                  each.notBefore(),
                  each.notAfter(),
                  Status.REVOKED,
                  each.certificate()));
        }
      }
      rewriteList(revoked);
      return List.copyOf(revoked);
    } catch (GeneralSecurityException | IOException | OperatorCreationException e) {
      throw failure("cannot revoke " + nameOrSerial, e);
    }
  }

  /** Makes a new {@code crl.pem} with the same entries, good for another year. */
  public void refreshRevocationList() throws PkiException {
    try (Lock _ = Lock.of(directory)) {
      rewriteList(List.of());
    } catch (GeneralSecurityException | IOException | OperatorCreationException e) {
      throw failure("cannot write the revocation list in " + directory, e);
    }
  }

  /** The authority's own certificate. */
  public AgentCertificate authority() {
    Instant notBefore = certificate.getNotBefore().toInstant();
    Instant notAfter = certificate.getNotAfter().toInstant();
    String subject = certificate.getSubjectX500Principal().getName();
    return new AgentCertificate(
        subject.startsWith("CN=") ? subject.substring(3) : subject,
        certificate.getSerialNumber(),
        notBefore,
        notAfter,
        status(notBefore, notAfter, false),
        directory.resolve(CERTIFICATE));
  }

  /**
   * Every certificate issued here, by name, the newest of a name first. Those replaced by a renewal
   * name the same file as the present one: they are told apart by serial number.
   */
  public List<AgentCertificate> agents() throws PkiException {
    X509CRL list = readList();
    List<AgentCertificate> agents = new ArrayList<>();
    for (IssuedIndex.Entry entry : IssuedIndex.read(directory).reversed()) {
      agents.add(
          new AgentCertificate(
              entry.name(),
              entry.serial(),
              entry.notBefore(),
              entry.notAfter(),
              status(
                  entry.notBefore(),
                  entry.notAfter(),
                  list.getRevokedCertificate(entry.serial()) != null),
              directory.resolve(entry.name() + ".crt")));
    }
    agents.sort(Comparator.comparing(AgentCertificate::name)); // stable: newest stay first
    return List.copyOf(agents);
  }

  /**
   * Until when the present revocation list is good; afterwards agents accept nobody until they have
   * a new one.
   */
  public Instant revocationListEnds() throws PkiException {
    return readList().getNextUpdate().toInstant();
  }

  private static Status status(Instant notBefore, Instant notAfter, boolean revoked) {
    Instant now = Instant.now();
    if (revoked) {
      return Status.REVOKED;
    }
    if (now.isAfter(notAfter)) {
      return Status.EXPIRED;
    }
    return now.isBefore(notBefore) ? Status.NOT_YET_VALID : Status.VALID;
  }

  private void rewriteList(List<AgentCertificate> added)
      throws GeneralSecurityException, IOException, OperatorCreationException {
    X509CRL old = readList();
    Instant now = Instant.now();
    List<Revoked> entries = new ArrayList<>();
    if (old.getRevokedCertificates() != null) {
      for (X509CRLEntry entry : old.getRevokedCertificates()) {
        entries.add(new Revoked(entry.getSerialNumber(), entry.getRevocationDate().toInstant()));
      }
    }
    added.forEach(each -> entries.add(new Revoked(each.serial(), now)));
    writeList(number(old).add(BigInteger.ONE), entries, now, now.plus(LIST_VALIDITY));
  }

  void writeList(BigInteger number, List<Revoked> entries, Instant thisUpdate, Instant nextUpdate)
      throws GeneralSecurityException, IOException, OperatorCreationException {
    X509CRL list =
        CertificateMaker.revocationList(certificate, key, number, entries, thisUpdate, nextUpdate);
    AuthorityFiles.writePublic(directory.resolve(LIST), CertificateMaker.pem(list));
  }

  private static BigInteger number(X509CRL list) {
    byte[] extension = list.getExtensionValue(Extension.cRLNumber.getId());
    return extension == null
        ? BigInteger.ZERO
        : ASN1Integer.getInstance(ASN1OctetString.getInstance(extension).getOctets()).getValue();
  }

  private X509CRL readList() throws PkiException {
    Path file = directory.resolve(LIST);
    try {
      X509CRL list =
          (X509CRL)
              CertificateFactory.getInstance("X.509")
                  .generateCRL(new ByteArrayInputStream(Files.readAllBytes(file)));
      list.verify(certificate.getPublicKey());
      return list;
    } catch (NoSuchFileException e) {
      throw new PkiException(
          "the revocation list "
              + file
              + " is gone: put it back from a copy, it holds who was revoked",
          e);
    } catch (GeneralSecurityException | IOException e) {
      throw failure("the revocation list " + file + " cannot be used", e);
    }
  }

  private static X509Certificate readCertificate(Path file)
      throws GeneralSecurityException, IOException {
    return (X509Certificate)
        CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(Files.readAllBytes(file)));
  }

  private static PkiException failure(String what, Exception cause) {
    return cause instanceof PkiException known
        ? known
        : new PkiException(what + ": " + cause.getMessage(), cause);
  }

  /**
   * Held while the directory changes. Within one process threads wait too: a file lock alone is the
   * whole process's.
   */
  private static final class Lock implements AutoCloseable {
    private static final java.util.concurrent.locks.ReentrantLock PROCESS =
        new java.util.concurrent.locks.ReentrantLock();

    private final FileChannel file;
    private final FileLock lock;

    private Lock(FileChannel file, FileLock lock) {
      this.file = file;
      this.lock = lock;
    }

    static Lock of(Path directory) throws PkiException {
      PROCESS.lock();
      try {
        FileChannel file =
            FileChannel.open(
                directory.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        return new Lock(file, file.lock());
      } catch (IOException e) {
        PROCESS.unlock();
        throw new PkiException("cannot change " + directory + ": " + e.getMessage(), e);
      }
    }

    @Override
    public void close() throws PkiException {
      try {
        lock.close();
        file.close();
      } catch (IOException e) {
        throw new PkiException("cannot release the lock of the authority: " + e.getMessage(), e);
      } finally {
        PROCESS.unlock();
      }
    }
  }
}
