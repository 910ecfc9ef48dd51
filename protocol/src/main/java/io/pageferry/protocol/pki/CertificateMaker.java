package io.pageferry.protocol.pki;

import io.pageferry.protocol.tls.AgentName;
import java.io.IOException;
import java.io.StringWriter;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Instant;
import java.util.Collection;
import java.util.Date;
import javax.security.auth.x500.X500Principal;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.CRLNumber;
import org.bouncycastle.asn1.x509.CRLReason;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.jcajce.JcaX509CRLConverter;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v2CRLBuilder;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.openssl.jcajce.JcaPKCS8Generator;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/**
 * Makes keys, certificates (X.509 version 3, RFC 5280) and revocation lists. Keys are on the curve
 * P-256, signatures ECDSA with SHA-256.
 */
final class CertificateMaker {
  private static final String SIGNATURE = "SHA256withECDSA";
  private static final SecureRandom RANDOM = new SecureRandom();

  private CertificateMaker() {}

  static KeyPair newKey() throws GeneralSecurityException {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
    generator.initialize(new ECGenParameterSpec("secp256r1"), RANDOM);
    return generator.generateKeyPair();
  }

  static BigInteger newSerial() {
    return new BigInteger(127, RANDOM).setBit(126);
  }

  static X509Certificate authority(String name, KeyPair key, Instant notBefore, Instant notAfter)
      throws GeneralSecurityException, IOException, OperatorCreationException {
    X500Principal subject = new X500Principal("CN=" + name);
    JcaX509v3CertificateBuilder builder =
        new JcaX509v3CertificateBuilder(
            subject,
            newSerial(),
            Date.from(notBefore),
            Date.from(notAfter),
            subject,
            key.getPublic());
    JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
    builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(0));
    builder.addExtension(
        Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign));
    builder.addExtension(
        Extension.subjectKeyIdentifier,
        false,
        extensions.createSubjectKeyIdentifier(key.getPublic()));
    return new JcaX509CertificateConverter()
        .getCertificate(builder.build(signer(key.getPrivate())));
  }

  static X509Certificate agent(
      String name,
      KeyPair key,
      X509Certificate authority,
      PrivateKey authorityKey,
      Instant notBefore,
      Instant notAfter)
      throws GeneralSecurityException, IOException, OperatorCreationException {
    JcaX509v3CertificateBuilder builder =
        new JcaX509v3CertificateBuilder(
            authority.getSubjectX500Principal(),
            newSerial(),
            Date.from(notBefore),
            Date.from(notAfter),
            new X500Principal("CN=" + name),
            key.getPublic());
    JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
    builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(false));
    builder.addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature));
    // An agent is a client as source and a server as target, often both in the course of a day.
    builder.addExtension(
        Extension.extendedKeyUsage,
        false,
        new ExtendedKeyUsage(
            new KeyPurposeId[] {KeyPurposeId.id_kp_serverAuth, KeyPurposeId.id_kp_clientAuth}));
    builder.addExtension(
        Extension.subjectAlternativeName,
        false,
        new GeneralNames(new GeneralName(GeneralName.dNSName, AgentName.dnsName(name))));
    builder.addExtension(
        Extension.subjectKeyIdentifier,
        false,
        extensions.createSubjectKeyIdentifier(key.getPublic()));
    builder.addExtension(
        Extension.authorityKeyIdentifier,
        false,
        extensions.createAuthorityKeyIdentifier(authority.getPublicKey()));
    return new JcaX509CertificateConverter().getCertificate(builder.build(signer(authorityKey)));
  }

  static X509CRL revocationList(
      X509Certificate authority,
      PrivateKey authorityKey,
      BigInteger number,
      Collection<Revoked> revoked,
      Instant thisUpdate,
      Instant nextUpdate)
      throws GeneralSecurityException, IOException, OperatorCreationException {
    JcaX509v2CRLBuilder builder = new JcaX509v2CRLBuilder(authority, Date.from(thisUpdate));
    builder.setNextUpdate(Date.from(nextUpdate));
    builder.addExtension(Extension.cRLNumber, false, new CRLNumber(number));
    builder.addExtension(
        Extension.authorityKeyIdentifier,
        false,
        new JcaX509ExtensionUtils().createAuthorityKeyIdentifier(authority.getPublicKey()));
    for (Revoked each : revoked) {
      builder.addCRLEntry(each.serial(), Date.from(each.at()), CRLReason.unspecified);
    }
    return new JcaX509CRLConverter().getCRL(builder.build(signer(authorityKey)));
  }

  record Revoked(BigInteger serial, Instant at) {}

  static byte[] pem(Object each) throws IOException {
    StringWriter text = new StringWriter();
    try (JcaPEMWriter pem = new JcaPEMWriter(text)) {
      pem.writeObject(each instanceof PrivateKey key ? new JcaPKCS8Generator(key, null) : each);
    }
    return text.toString().getBytes(StandardCharsets.US_ASCII);
  }

  private static ContentSigner signer(PrivateKey key) throws OperatorCreationException {
    return new JcaContentSignerBuilder(SIGNATURE).build(key);
  }
}
