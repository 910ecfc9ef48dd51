package io.pageferry.target.incoming;

import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverMessage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a guest said that hands its memory over once and never again, kept beside the ledger so that
 * the next agent can take that memory up. Written before the guest is anybody's here, removed with
 * the list of its missing pages.
 *
 * <p>The file: the process's number, a space, its start in milliseconds since 1970, a new line, the
 * message.
 *
 * @param file where it is kept
 */
record KeptHandover(Path file) {
  private static final Logger LOG = LoggerFactory.getLogger(KeptHandover.class);

  /** The one that belongs to this list of missing pages. */
  static KeptHandover beside(Path missingPages) {
    return new KeptHandover(missingPages.resolveSibling(missingPages.getFileName() + ".handover"));
  }

  /** Readable by its owner only. */
  void write(GuestHandover handover) throws IOException {
    LedgerFields.LaunchedProcess process =
        ProcessHandle.of(handover.pid())
            .map(LedgerFields.LaunchedProcess::of)
            .orElseThrow(() -> new IOException("the guest's process has ended"));
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(
        (process.pid() + " " + process.startMillis() + "\n").getBytes(StandardCharsets.US_ASCII));
    bytes.writeBytes(handover.message().encode());
    Files.deleteIfExists(file);
    Files.createFile(
        file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    Files.write(file, bytes.toByteArray());
  }

  /**
   * Takes the guest's memory again from its process.
   *
   * @throws IOException whose message says why that cannot be done
   */
  GuestHandover retake() throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    int end = endOfLine(bytes);
    LedgerFields.LaunchedProcess process = process(bytes, end);
    if (process.find() == null) {
      throw new IOException("the guest's process " + process.pid() + " has ended");
    }
    return GuestHandover.retake(
        Math.toIntExact(process.pid()),
        HandoverMessage.decode(Arrays.copyOfRange(bytes, end + 1, bytes.length)));
  }

  /**
   * Whether the process that sent it is gone.
   *
   * @throws IOException if it cannot be read whose that is
   */
  boolean processEnded() throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    return process(bytes, endOfLine(bytes)).find() == null;
  }

  private static int endOfLine(byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1).indexOf('\n');
  }

  private LedgerFields.LaunchedProcess process(byte[] bytes, int end) throws IOException {
    String[] words =
        new String(bytes, 0, Math.max(0, end), StandardCharsets.US_ASCII).split(" ", -1);
    try {
      if (words.length == 2) {
        return new LedgerFields.LaunchedProcess(
            Integer.parseInt(words[0]), Long.parseLong(words[1]));
      }
    } catch (NumberFormatException e) {
      LOG.debug("{}", file, e);
    }
    throw new IOException(file + " does not say whose memory it is about");
  }

  void remove() throws IOException {
    Files.deleteIfExists(file);
  }
}
