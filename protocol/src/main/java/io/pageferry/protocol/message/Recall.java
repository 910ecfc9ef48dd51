package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.Arrays;

/**
 * The source asks what the target still has of this guest's memory, from an earlier time.
 *
 * @param salt {@value #SALT_BYTES} bytes that nobody could know before, which every digest of the
 *     answer begins with. Not copied: nobody may change them
 */
@SuppressWarnings("ArrayRecordComponent") // equals, hashCode and toString are written out below
public record Recall(byte[] salt) implements Message {
  public static final int SALT_BYTES = 32;

  public Recall {
    Bounds.check("length of a salt", salt.length, SALT_BYTES, SALT_BYTES);
  }

  @Override
  public FrameType type() {
    return FrameType.RECALL;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Recall that && Arrays.equals(salt, that.salt);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(salt);
  }

  @Override
  public String toString() {
    return "Recall[]";
  }
}
