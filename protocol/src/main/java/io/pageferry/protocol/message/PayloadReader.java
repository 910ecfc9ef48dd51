package io.pageferry.protocol.message;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/**
 * Reads a peer's payload front to back. Every read checks that the bytes are there and every length
 * is compared with its limit before anything is allocated for it.
 */
final class PayloadReader {
  private final ByteBuf in;

  PayloadReader(ByteBuf in) {
    this.in = in;
  }

  int u8() throws ProtocolException {
    need(Byte.BYTES);
    return in.readUnsignedByte();
  }

  int u16() throws ProtocolException {
    need(Short.BYTES);
    return in.readUnsignedShortLE();
  }

  /** A number of 32 bits that must fit into 31. */
  int u31() throws ProtocolException {
    int value = i32();
    if (value < 0) {
      throw ProtocolException.violation(Integer.toUnsignedString(value) + " is out of range");
    }
    return value;
  }

  int i32() throws ProtocolException {
    need(Integer.BYTES);
    return in.readIntLE();
  }

  long i64() throws ProtocolException {
    need(Long.BYTES);
    return in.readLongLE();
  }

  boolean bool() throws ProtocolException {
    int value = u8();
    if (value > 1) {
      throw ProtocolException.violation(value + " is neither yes nor no");
    }
    return value == 1;
  }

  /** Sixteen bytes in the order in which they are written (RFC 9562), not a number. */
  UUID uuid() throws ProtocolException {
    need(2 * Long.BYTES);
    return new UUID(in.readLong(), in.readLong());
  }

  /** A count of what follows, each at least {@code bytesEach} long. */
  int count(int value, int max, int bytesEach) throws ProtocolException {
    if (value > max) {
      throw ProtocolException.violation(value + " entries, " + max + " are allowed");
    }
    need(value * bytesEach);
    return value;
  }

  byte[] bytes(int length, int max) throws ProtocolException {
    if (length < 0 || length > max) {
      throw ProtocolException.violation(
          Integer.toUnsignedString(length) + " bytes, " + max + " are allowed");
    }
    need(length);
    byte[] bytes = new byte[length];
    in.readBytes(bytes);
    return bytes;
  }

  String text(int length, int max) throws ProtocolException {
    byte[] utf8 = bytes(length, max);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString();
    } catch (CharacterCodingException e) {
      throw ProtocolException.violation("a text is not UTF-8");
    }
  }

  void zeros(int count) throws ProtocolException {
    need(count);
    for (int i = 0; i < count; i++) {
      if (in.readByte() != 0) {
        throw ProtocolException.violation("a reserved byte is not zero");
      }
    }
  }

  void end() throws ProtocolException {
    if (in.isReadable()) {
      throw ProtocolException.violation(in.readableBytes() + " bytes too many");
    }
  }

  private void need(int bytes) throws ProtocolException {
    if (in.readableBytes() < bytes) {
      throw ProtocolException.violation(
          "it ends " + (bytes - in.readableBytes()) + " bytes too early");
    }
  }
}
