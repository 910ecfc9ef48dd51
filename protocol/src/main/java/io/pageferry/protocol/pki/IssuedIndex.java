package io.pageferry.protocol.pki;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * What the authority has issued, one line a certificate: serial number in hexadecimal, name, start
 * and end of validity, separated by blanks. Without it a certificate that was replaced by a
 * renewal, but is still valid, could not be revoked by its agent's name.
 */
final class IssuedIndex {
  static final String FILE = "issued.txt";

  record Entry(BigInteger serial, String name, Instant notBefore, Instant notAfter) {}

  private IssuedIndex() {}

  static List<Entry> read(Path directory) throws PkiException {
    Path file = directory.resolve(FILE);
    List<Entry> entries = new ArrayList<>();
    List<String> lines;
    try {
      lines = Files.readAllLines(file, StandardCharsets.UTF_8);
    } catch (NoSuchFileException e) {
      return entries;
    } catch (IOException e) {
      throw new PkiException("cannot read " + file + ": " + e.getMessage(), e);
    }
    for (String line : lines) {
      String[] fields = line.split(" ", -1);
      try {
        if (fields.length != 4) {
          throw new IllegalArgumentException("not four fields");
        }
        entries.add(
            new Entry(
                new BigInteger(fields[0], 16),
                fields[1],
                Instant.parse(fields[2]),
                Instant.parse(fields[3])));
      } catch (IllegalArgumentException | DateTimeException e) {
        throw new PkiException(file + " is damaged at line " + (entries.size() + 1), e);
      }
    }
    return entries;
  }

  static void write(Path directory, List<Entry> entries) throws PkiException {
    StringBuilder text = new StringBuilder();
    for (Entry entry : entries) {
      text.append(entry.serial().toString(16))
          .append(' ')
          .append(entry.name())
          .append(' ')
          .append(entry.notBefore())
          .append(' ')
          .append(entry.notAfter())
          .append('\n');
    }
    AuthorityFiles.writePublic(
        directory.resolve(FILE), text.toString().getBytes(StandardCharsets.UTF_8));
  }
}
