package io.pageferry.protocol.frame;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.message.AbortReason;

/**
 * The header in front of every frame, frozen for all versions. Numbers are little-endian.
 *
 * <pre>
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |                        payload length                         |
 *  +---------------+---------------+-------------------------------+
 *  |     type      |     flags     |           reserved            |
 *  +---------------+---------------+-------------------------------+
 *  |                     CRC32C of the payload                     |
 *  +---------------------------------------------------------------+
 *  |                    CRC32C of bytes 0 to 11                    |
 *  +---------------------------------------------------------------+
 * </pre>
 *
 * The header has a checksum of its own, so that a damaged length is found before anything is
 * allocated or waited for because of it.
 */
public final class FrameHeader {
  /** Length of the header. */
  public static final int BYTES = 16;

  /** The largest payload: 1 MiB. */
  public static final int MAX_PAYLOAD = 1 << 20;

  static final int LENGTH_OFFSET = 0;
  static final int TYPE_OFFSET = LENGTH_OFFSET + Integer.BYTES;
  static final int FLAGS_OFFSET = TYPE_OFFSET + Byte.BYTES;
  static final int RESERVED_OFFSET = FLAGS_OFFSET + Byte.BYTES;
  static final int PAYLOAD_CRC_OFFSET = RESERVED_OFFSET + Short.BYTES;
  static final int HEADER_CRC_OFFSET = PAYLOAD_CRC_OFFSET + Integer.BYTES;

  private FrameHeader() {}

  /**
   * Writes a header at {@code index}; the writer index stays as it is.
   *
   * @param payloadLength 0 to {@link #MAX_PAYLOAD}
   * @throws IllegalArgumentException if the payload is longer than that
   */
  public static void write(
      ByteBuf frame, int index, FrameType type, int payloadLength, int payloadCrc) {
    if (payloadLength < 0 || payloadLength > MAX_PAYLOAD) {
      throw new IllegalArgumentException("a payload of " + payloadLength + " bytes");
    }
    frame.setIntLE(index + LENGTH_OFFSET, payloadLength);
    frame.setByte(index + TYPE_OFFSET, type.code());
    frame.setByte(index + FLAGS_OFFSET, 0);
    frame.setShortLE(index + RESERVED_OFFSET, 0);
    frame.setIntLE(index + PAYLOAD_CRC_OFFSET, payloadCrc);
    frame.setIntLE(index + HEADER_CRC_OFFSET, Crc32c.of(frame, index, HEADER_CRC_OFFSET));
  }

  /**
   * Checks the whole header at {@code index} and returns the frame's type. Nothing in the header
   * may be used before this returned.
   *
   * @param maxPayload the longest payload to be accepted
   * @throws ProtocolException {@link AbortReason#CORRUPT_FRAME} if the checksum is wrong, else
   *     {@link AbortReason#PROTOCOL_VIOLATION}
   */
  public static FrameType check(ByteBuf frame, int index, int maxPayload) throws ProtocolException {
    int stated = frame.getIntLE(index + HEADER_CRC_OFFSET);
    int actual = Crc32c.of(frame, index, HEADER_CRC_OFFSET);
    if (stated != actual) {
      throw new ProtocolException(
          AbortReason.CORRUPT_FRAME,
          "a frame header is damaged: checksum "
              + Integer.toHexString(stated)
              + " instead of "
              + Integer.toHexString(actual));
    }
    if (frame.getByte(index + FLAGS_OFFSET) != 0
        || frame.getShortLE(index + RESERVED_OFFSET) != 0) {
      throw ProtocolException.violation("a frame header uses flags that version 1 does not have");
    }
    int length = frame.getIntLE(index + LENGTH_OFFSET);
    if (length < 0 || length > maxPayload) {
      throw ProtocolException.violation(
          "a frame of "
              + Integer.toUnsignedString(length)
              + " bytes is longer than the "
              + maxPayload
              + " allowed");
    }
    return FrameType.of(frame.getUnsignedByte(index + TYPE_OFFSET));
  }

  /** Length of the payload of a header that {@link #check} has accepted. */
  public static int payloadLength(ByteBuf frame, int index) {
    return frame.getIntLE(index + LENGTH_OFFSET);
  }

  /** The payload's checksum, as stated by the header. */
  public static int payloadCrc(ByteBuf frame, int index) {
    return frame.getIntLE(index + PAYLOAD_CRC_OFFSET);
  }
}
