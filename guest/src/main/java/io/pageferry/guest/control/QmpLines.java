package io.pageferry.guest.control;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Cuts what arrives on a QMP connection into lines. Both ends of QMP read this way: the agents, and
 * the demo guest. One thread.
 */
public final class QmpLines {
  /**
   * The longest line that is kept, in bytes. What the agents and guests say to each other fits in a
   * few hundred; without a limit a peer that never ends its line would fill the heap.
   */
  public static final int MAX_LINE = 1 << 20;

  private static final byte[] EMPTY = {};

  private final ReadableByteChannel channel;
  private final ByteBuffer arrived = ByteBuffer.allocateDirect(16 << 10).flip();
  private byte[] line = new byte[1 << 10];
  private int length;
  private boolean tooLong;

  /**
   * Reads from a channel.
   *
   * @param channel blocking; stays the caller's to close
   */
  public QmpLines(ReadableByteChannel channel) {
    this.channel = channel;
  }

  /**
   * The next line without its end; null at end of file, whatever unfinished line there was.
   *
   * @throws LineTooLongException once for each line beyond {@link #MAX_LINE}, which is skipped: the
   *     next call goes on behind it
   */
  public byte @Nullable [] next() throws IOException {
    while (true) {
      while (arrived.hasRemaining()) {
        byte b = arrived.get();
        if (b != '\n') {
          append(b);
        } else if (tooLong) {
          tooLong = false;
          length = 0;
          throw new LineTooLongException();
        } else {
          byte[] result = length == 0 ? EMPTY : Arrays.copyOf(line, length);
          length = 0;
          return result;
        }
      }
      arrived.clear();
      int read;
      try {
        read = channel.read(arrived);
      } finally {
        arrived.flip();
      }
      if (read < 0) {
        return null;
      }
    }
  }

  private void append(byte b) {
    if (length == MAX_LINE) {
      tooLong = true;
      return;
    }
    if (length == line.length) {
      line = Arrays.copyOf(line, Math.min(MAX_LINE, line.length * 2));
    }
    line[length++] = b;
  }

  /** A line beyond {@link #MAX_LINE}. */
  public static final class LineTooLongException extends IOException {
    private static final long serialVersionUID = 1L;

    LineTooLongException() {
      super("a line of more than " + MAX_LINE + " bytes");
    }
  }
}
