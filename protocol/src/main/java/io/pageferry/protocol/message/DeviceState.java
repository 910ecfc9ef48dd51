package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import java.util.Arrays;

/**
 * A piece of the guest's device state, opaque to the protocol. Pieces come in order, without gaps,
 * after the last round; there is always at least one, possibly empty.
 *
 * @param offset of the piece's first byte in the whole
 * @param last whether the whole is complete with it
 * @param bytes up to {@value #MAX_BYTES}. Not copied: nobody may change them
 */
@SuppressWarnings("ArrayRecordComponent") // equals, hashCode and toString are written out below
public record DeviceState(long offset, boolean last, byte[] bytes) implements Message {
  /** In front of the bytes: offset, last, three zero bytes, length. */
  static final int HEADER_BYTES = 16;

  /** The largest piece. */
  public static final int MAX_BYTES = FrameHeader.MAX_PAYLOAD - HEADER_BYTES;

  /** The largest whole: 32 MiB. */
  public static final int MAX_TOTAL_BYTES = 32 << 20;

  public DeviceState {
    Bounds.check("length of device state", bytes.length, 0, MAX_BYTES);
    Bounds.check("offset of device state", offset, 0, (long) MAX_TOTAL_BYTES - bytes.length);
  }

  @Override
  public FrameType type() {
    return FrameType.DEVICE_STATE;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof DeviceState that
        && offset == that.offset
        && last == that.last
        && Arrays.equals(bytes, that.bytes);
  }

  @Override
  public int hashCode() {
    return 31 * Long.hashCode(offset) + Arrays.hashCode(bytes);
  }

  @Override
  public String toString() {
    return "DeviceState[offset=" + offset + ", last=" + last + ", " + bytes.length + " bytes]";
  }
}
