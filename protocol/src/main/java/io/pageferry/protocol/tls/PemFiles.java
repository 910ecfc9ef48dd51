package io.pageferry.protocol.tls;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CRLException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/** Reads credentials from PEM files; every failure is one sentence that names the file. */
final class PemFiles {
  /**
   * Credentials are a few KiB, a revocation list of 100,000 entries 4 MiB: beyond this it is some
   * other file.
   */
  private static final long MAX_BYTES = 32L << 20;

  private static final Set<PosixFilePermission> NOT_FOR_A_KEY =
      EnumSet.of(
          PosixFilePermission.GROUP_READ,
          PosixFilePermission.GROUP_WRITE,
          PosixFilePermission.OTHERS_READ,
          PosixFilePermission.OTHERS_WRITE);

  private PemFiles() {}

  static List<X509Certificate> certificates(Path file, String what) throws TlsSetupException {
    try {
      List<X509Certificate> certificates = new ArrayList<>();
      for (Certificate each :
          CertificateFactory.getInstance("X.509")
              .generateCertificates(new ByteArrayInputStream(read(file, what)))) {
        certificates.add((X509Certificate) each);
      }
      if (certificates.isEmpty()) {
        throw new TlsSetupException(what + " " + file + " holds no certificate");
      }
      return certificates;
    } catch (CertificateException e) {
      throw new TlsSetupException(what + " " + file + " is not a certificate in PEM form", e);
    }
  }

  static X509CRL revocationList(Path file) throws TlsSetupException {
    try {
      byte[] bytes = read(file, "revocation list");
      if (bytes.length == 0) {
        throw new TlsSetupException("revocation list " + file + " is empty");
      }
      return (X509CRL)
          CertificateFactory.getInstance("X.509").generateCRL(new ByteArrayInputStream(bytes));
    } catch (CertificateException | CRLException e) {
      throw new TlsSetupException(
          "revocation list " + file + " is not a revocation list in PEM form", e);
    }
  }

  /**
   * Reads a private key; refuses a file that anybody but its owner may read, because the key then
   * is not secret.
   */
  static PrivateKey privateKey(Path file, String algorithm) throws TlsSetupException {
    byte[] bytes = read(file, "private key");
    try {
      Set<PosixFilePermission> modes = Files.getPosixFilePermissions(file);
      if (modes.stream().anyMatch(NOT_FOR_A_KEY::contains)) {
        throw new TlsSetupException(
            "private key " + file + " is readable by group or others: run chmod 600 " + file);
      }
    } catch (TlsSetupException e) {
      throw e;
    } catch (UnsupportedOperationException | IOException e) {
      throw new TlsSetupException("cannot tell who may read private key " + file, e);
    }
    String pem = new String(bytes, StandardCharsets.ISO_8859_1);
    if (pem.contains("BEGIN ENCRYPTED PRIVATE KEY")) {
      throw new TlsSetupException(
          "private key " + file + " is encrypted: an agent needs it without a password");
    }
    String begin = "-----BEGIN PRIVATE KEY-----";
    int from = pem.indexOf(begin);
    int to = pem.indexOf("-----END PRIVATE KEY-----");
    if (from < 0 || to < from) {
      throw new TlsSetupException(
          "private key " + file + " is not a PKCS #8 key in PEM form (BEGIN PRIVATE KEY)");
    }
    try {
      byte[] der = Base64.getMimeDecoder().decode(pem.substring(from + begin.length(), to));
      return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(der));
    } catch (IllegalArgumentException | GeneralSecurityException e) {
      throw new TlsSetupException(
          "private key "
              + file
              + " is damaged or not of the certificate's kind ("
              + algorithm
              + ")",
          e);
    }
  }

  private static byte[] read(Path file, String what) throws TlsSetupException {
    try {
      if (Files.isDirectory(file)) {
        throw new TlsSetupException(what + " " + file + " is a directory");
      }
      if (Files.size(file) > MAX_BYTES) {
        throw new TlsSetupException(what + " " + file + " is too large to be one");
      }
      return Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      throw new TlsSetupException(what + " " + file + " does not exist", e);
    } catch (AccessDeniedException e) {
      throw new TlsSetupException(what + " " + file + " may not be read by this user", e);
    } catch (TlsSetupException e) {
      throw e;
    } catch (IOException e) {
      throw new TlsSetupException(what + " " + file + " cannot be read: " + e.getMessage(), e);
    }
  }
}
