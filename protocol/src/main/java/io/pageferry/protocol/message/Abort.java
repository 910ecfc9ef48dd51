package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.nio.charset.StandardCharsets;

/**
 * The sender ends the migration, or refuses to begin it. Its format is frozen for all versions.
 *
 * <p>The constructor makes any text fit: control characters become spaces (it ends up on terminals
 * and in logs), and what is longer than {@value #MAX_TEXT_BYTES} bytes is cut. Telling the peer why
 * must never fail because the reason was too wordy.
 *
 * @param reason for the program
 * @param text for people: one sentence
 */
public record Abort(AbortReason reason, String text) implements Message {
  public static final int MAX_TEXT_BYTES = 512;

  public Abort {
    text = fit(text);
  }

  @Override
  public FrameType type() {
    return FrameType.ABORT;
  }

  private static String fit(String text) {
    StringBuilder fitting = new StringBuilder();
    int bytes = 0;
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      i += Character.charCount(c);
      boolean printable = !Character.isISOControl(c) && Character.getType(c) != Character.SURROGATE;
      String one = printable ? Character.toString(c) : " ";
      bytes += one.getBytes(StandardCharsets.UTF_8).length;
      if (bytes > MAX_TEXT_BYTES) {
        break;
      }
      fitting.append(one);
    }
    return fitting.toString();
  }
}
