package io.pageferry.agent.ledger;

import java.nio.file.Path;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * What a ledger file says. Each record begins at a multiple of {@value #SECTOR} bytes and the rest
 * of its last sector is zero.
 *
 * <p>A disk writes a sector wholly or not at all, so of a record that fits in one (every change of
 * state does) either everything is there or nothing. A broken last record that goes over several
 * was being written when the machine stopped: nobody was told that it is on disk, and it is
 * ignored. Anything else that is broken is damage, and then the state is unknown: guessing it from
 * the records before could start a guest twice.
 *
 * @param sequence of the last record
 * @param end where the next record goes
 * @param torn whether an unfinished record lies at {@code end}
 */
record LedgerContent(
    long sequence, LedgerState state, Instant since, LedgerFields fields, int end, boolean torn) {

  static final int SECTOR = 512;

  static int paddedLength(int bytes) {
    return (bytes + SECTOR - 1) / SECTOR * SECTOR;
  }

  static LedgerContent parse(Path file, LedgerSide side, byte[] bytes) throws LedgerException {
    int position = 0;
    LedgerRecord last = null;
    LedgerFields fields = LedgerFields.of("", "");
    Instant since = Instant.EPOCH;
    boolean torn = false;
    while (position < bytes.length && bytes[position] != 0) {
      int newline = lineEnd(bytes, position);
      LedgerRecord next = newline < 0 ? null : LedgerRecord.decode(bytes, position, newline);
      if (next == null) {
        if (!fillsItsSector(bytes, position)) {
          throw damaged(file, position);
        }
        torn = true;
        break;
      }
      if (next.sequence() != (last == null ? 1 : last.sequence() + 1)
          || !follows(last, next, side)) {
        throw damaged(file, position);
      }
      if (last == null || last.state() != next.state()) {
        since = next.time();
      }
      if (next.fields() != null) {
        fields = next.fields();
      }
      last = next;
      position += paddedLength(newline + 1 - position);
    }
    if (last == null || recordFollows(bytes, position)) {
      throw damaged(file, position);
    }
    return new LedgerContent(last.sequence(), last.state(), since, fields, position, torn);
  }

  private static boolean follows(@Nullable LedgerRecord last, LedgerRecord next, LedgerSide side) {
    if (last == null) {
      return next.state() == side.first();
    }
    return last.state() == next.state() || last.state().mayBecome(next.state(), side);
  }

  /**
   * Whether what begins here goes on in the next sector, and so may have been torn between them.
   */
  private static boolean fillsItsSector(byte[] bytes, int position) {
    if (bytes.length - position < SECTOR) {
      return false;
    }
    for (int i = position; i < position + SECTOR; i++) {
      if (bytes[i] == '\n' || bytes[i] == 0) {
        return false;
      }
    }
    return true;
  }

  /** Whether a whole record lies behind {@code position}: then what is there is not the end. */
  private static boolean recordFollows(byte[] bytes, int position) {
    for (int at = position + SECTOR; at < bytes.length; at += SECTOR) {
      int newline = bytes[at] == 0 ? -1 : lineEnd(bytes, at);
      if (newline >= 0 && LedgerRecord.decode(bytes, at, newline) != null) {
        return true;
      }
    }
    return false;
  }

  private static int lineEnd(byte[] bytes, int from) {
    int limit = Math.min(bytes.length, from + LedgerRecord.MAX_BYTES);
    for (int i = from; i < limit; i++) {
      if (bytes[i] == '\n') {
        return i;
      }
    }
    return -1;
  }

  private static LedgerException damaged(Path file, int position) {
    return new LedgerException(
        LedgerException.Problem.DAMAGED,
        file,
        "the ledger "
            + file
            + " is damaged at byte "
            + position
            + ", so who owns this guest has to be settled by hand:"
            + " ask the other side with 'pageferry source status' or 'pageferry target status'",
        null);
  }
}
