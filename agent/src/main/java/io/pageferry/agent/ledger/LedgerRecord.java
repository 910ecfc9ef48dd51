package io.pageferry.agent.ledger;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * One line of a ledger:
 *
 * <pre>
 * SEQUENCE STATE TIME FIELDS CRC\n
 * 3 PAUSED 2026-11-20T11:30:00.123456Z - 5f0c21aa\n
 * </pre>
 *
 * SEQUENCE counts from 1. TIME is UTC. FIELDS is a JSON object, or {@code -} for "as before". CRC
 * is the CRC32C, in eight hexadecimal digits, of everything before the space in front of it.
 *
 * @param fields null where they are as before
 */
record LedgerRecord(long sequence, LedgerState state, Instant time, @Nullable LedgerFields fields) {

  /** A longer line is never written, and is damage where it is read. */
  static final int MAX_BYTES = 64 * 1024;

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String AS_BEFORE = "-";

  byte[] encode() {
    String body =
        sequence + " " + state + " " + time + " " + (fields == null ? AS_BEFORE : json(fields));
    byte[] line = (body + " " + checksum(body) + "\n").getBytes(StandardCharsets.UTF_8);
    if (line.length > MAX_BYTES) {
      throw new IllegalArgumentException(
          "a ledger record of " + line.length + " bytes is over the limit of " + MAX_BYTES);
    }
    return line;
  }

  /** The record that a line without its line feed holds; null if it is not one. */
  static @Nullable LedgerRecord decode(byte[] file, int from, int to) {
    String line = new String(file, from, to - from, StandardCharsets.UTF_8);
    int end = line.lastIndexOf(' ');
    if (end < 0 || !line.substring(end + 1).equals(checksum(line.substring(0, end)))) {
      return null;
    }
    String[] parts = line.substring(0, end).split(" ", 4);
    if (parts.length != 4) {
      return null;
    }
    try {
      return new LedgerRecord(
          Long.parseLong(parts[0]),
          LedgerState.valueOf(parts[1]),
          Instant.parse(parts[2]),
          parts[3].equals(AS_BEFORE) ? null : JSON.readValue(parts[3], LedgerFields.class));
    } catch (IllegalArgumentException | DateTimeException | JsonProcessingException e) {
      return null;
    }
  }

  private static String json(LedgerFields fields) {
    try {
      return JSON.writeValueAsString(fields);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("ledger fields that cannot be written as JSON", e);
    }
  }

  private static String checksum(String body) {
    CRC32C crc = new CRC32C();
    crc.update(body.getBytes(StandardCharsets.UTF_8));
    String digits = Long.toHexString(crc.getValue());
    return "0".repeat(8 - digits.length()) + digits;
  }
}
