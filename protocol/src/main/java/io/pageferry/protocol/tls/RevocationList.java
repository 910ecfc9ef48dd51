package io.pageferry.protocol.tls;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.GeneralSecurityException;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.util.Date;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The authority's revocation list in its file, read again whenever the file has changed.
 * Thread-safe.
 */
final class RevocationList {
  private final Path file;
  private final X509Certificate authority;
  private final Clock clock;
  // Both guarded by this.
  private @Nullable Version version;
  private @Nullable X509CRL list;

  RevocationList(Path file, X509Certificate authority, Clock clock) {
    this.file = file;
    this.authority = authority;
    this.clock = clock;
  }

  /**
   * The list as it is now.
   *
   * @throws TlsSetupException if it is missing, unreadable, not our authority's, or stale;
   *     accepting peers without it would accept revoked ones
   */
  synchronized X509CRL current() throws TlsSetupException {
    Version now = Version.of(file);
    X509CRL known = list;
    if (known == null || now == null || !now.equals(version)) {
      known = PemFiles.revocationList(file);
      try {
        known.verify(authority.getPublicKey());
      } catch (GeneralSecurityException e) {
        throw new TlsSetupException("revocation list " + file + " is not our authority's", e);
      }
      list = known;
      version = now;
    }
    Date end = known.getNextUpdate();
    if (end == null) {
      throw new TlsSetupException(
          "revocation list " + file + " does not say until when it is good: fetch another");
    }
    if (end.toInstant().isBefore(clock.instant())) {
      throw new TlsSetupException(
          "revocation list "
              + file
              + " is stale (it was good until "
              + end.toInstant()
              + "): fetch the authority's present one");
    }
    return known;
  }

  private record Version(Object key, long size, long modifiedNanos) {
    static @Nullable Version of(Path file) {
      try {
        BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
        return new Version(
            Objects.requireNonNullElse(attributes.fileKey(), file),
            attributes.size(),
            attributes.lastModifiedTime().to(java.util.concurrent.TimeUnit.NANOSECONDS));
      } catch (IOException e) {
        return null; // reading it will say why
      }
    }
  }
}
