package io.pageferry.integration;

import java.io.StringWriter;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PrivateKey;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.openssl.PEMKeyPair;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/** Replaces an agent's certificate by one that its authority signed for a time that is over. */
final class ExpiredCertificate {
  private ExpiredCertificate() {}

  /** The same subject, key and extensions; ended yesterday. */
  static void replace(Path pki, String name) throws Exception {
    X509CertificateHolder authority = certificate(pki.resolve("ca.crt"));
    Path file = pki.resolve(name + ".crt");
    X509CertificateHolder valid = certificate(file);
    Instant now = Instant.now();
    X509v3CertificateBuilder builder =
        new X509v3CertificateBuilder(
            authority.getSubject(),
            BigInteger.valueOf(now.toEpochMilli()),
            Date.from(now.minus(Duration.ofDays(10))),
            Date.from(now.minus(Duration.ofDays(1))),
            valid.getSubject(),
            valid.getSubjectPublicKeyInfo());
    for (Object oid : valid.getExtensionOIDs()) {
      builder.addExtension(valid.getExtension((ASN1ObjectIdentifier) oid));
    }
    X509CertificateHolder expired =
        builder.build(
            new JcaContentSignerBuilder("SHA256withECDSA").build(key(pki.resolve("ca.key"))));
    StringWriter pem = new StringWriter();
    try (JcaPEMWriter writer = new JcaPEMWriter(pem)) {
      writer.writeObject(expired);
    }
    Files.writeString(file, pem.toString());
  }

  private static X509CertificateHolder certificate(Path file) throws Exception {
    try (PEMParser parser = new PEMParser(Files.newBufferedReader(file))) {
      return (X509CertificateHolder) parser.readObject();
    }
  }

  private static PrivateKey key(Path file) throws Exception {
    try (PEMParser parser = new PEMParser(Files.newBufferedReader(file))) {
      Object object = parser.readObject();
      PrivateKeyInfo info =
          object instanceof PEMKeyPair pair ? pair.getPrivateKeyInfo() : (PrivateKeyInfo) object;
      return new JcaPEMKeyConverter().getPrivateKey(info);
    }
  }
}
