package io.pageferry.protocol.frame;

import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;

/**
 * CRC32C (Castagnoli, RFC 3720 appendix B.4) over a part of a buffer, at memory speed: the JDK's
 * intrinsic reads direct memory in place, so no byte passes the heap.
 */
public final class Crc32c {
  private Crc32c() {}

  /**
   * The checksum of {@code length} bytes from {@code index}. Reader and writer index stay as they
   * are. Any thread, as long as nobody writes the buffer meanwhile.
   */
  public static int of(ByteBuf buf, int index, int length) {
    CRC32C crc = new CRC32C();
    if (buf.nioBufferCount() == 1) {
      crc.update(buf.nioBuffer(index, length));
    } else {
      for (ByteBuffer part : buf.nioBuffers(index, length)) {
        crc.update(part);
      }
    }
    return (int) crc.getValue();
  }
}
