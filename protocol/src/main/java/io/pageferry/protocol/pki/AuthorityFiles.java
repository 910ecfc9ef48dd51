package io.pageferry.protocol.pki;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Set;

/**
 * Writes an authority's files: each appears whole or not at all, a secret one never readable by
 * others, not even for a moment.
 */
final class AuthorityFiles {
  private static final Set<PosixFilePermission> SECRET =
      PosixFilePermissions.fromString("rw-------");
  private static final Set<PosixFilePermission> PUBLIC =
      PosixFilePermissions.fromString("rw-r--r--");
  private static final SecureRandom RANDOM = new SecureRandom();

  private AuthorityFiles() {}

  static void makeDirectory(Path directory) throws PkiException {
    try {
      if (!Files.isDirectory(directory)) {
        Path parent = directory.toAbsolutePath().getParent();
        if (parent != null) {
          Files.createDirectories(parent);
        }
        Files.createDirectory(
            directory,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      }
    } catch (FileAlreadyExistsException e) {
      throw new PkiException(directory + " is not a directory", e);
    } catch (IOException e) {
      throw new PkiException("cannot make directory " + directory + ": " + e.getMessage(), e);
    }
  }

  static void writeSecret(Path file, byte[] content) throws PkiException {
    write(file, content, SECRET);
  }

  static void writePublic(Path file, byte[] content) throws PkiException {
    write(file, content, PUBLIC);
  }

  private static void write(Path file, byte[] content, Set<PosixFilePermission> mode)
      throws PkiException {
    byte[] suffix = new byte[8];
    RANDOM.nextBytes(suffix);
    Path temporary =
        file.resolveSibling("." + file.getFileName() + "." + HexFormat.of().formatHex(suffix));
    try {
      try (FileChannel out =
          FileChannel.open(
              temporary,
              Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
              PosixFilePermissions.asFileAttribute(mode))) {
        ByteBuffer bytes = ByteBuffer.wrap(content);
        while (bytes.hasRemaining()) {
          out.write(bytes);
        }
        // The process's umask may have taken bits away, which would make a public file unreadable.
        Files.setPosixFilePermissions(temporary, mode);
        out.force(true);
      }
      Files.move(
          temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      try (FileChannel directory =
          FileChannel.open(file.toAbsolutePath().getParent(), StandardOpenOption.READ)) {
        directory.force(true);
      }
    } catch (IOException e) {
      try {
        Files.deleteIfExists(temporary);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw new PkiException("cannot write " + file + ": " + e.getMessage(), e);
    }
  }
}
