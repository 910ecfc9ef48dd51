package io.pageferry.protocol.tls;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import org.jspecify.annotations.Nullable;

/**
 * Reads the negotiated key-exchange group from the clear-text ServerHello (RFC 8446, sections 4.1.3
 * and 4.2.8) as it passes, because the engines do not tell it. Stands between the socket and the
 * TLS handler; changes nothing; falls silent once it knows, or once the stream is not what it
 * expects. Used on the channel's event loop only.
 */
@SuppressWarnings("FutureReturnValueIgnored") // the caller's promise goes along
public final class KeyShareSniffer extends ChannelDuplexHandler {
  public static final String UNKNOWN = "unknown";

  private static final int RECORD_HEADER = 5;
  private static final int HANDSHAKE = 22;
  private static final int CHANGE_CIPHER_SPEC = 20;
  private static final int SERVER_HELLO = 2;
  private static final int KEY_SHARE = 0x33;

  /** A ServerHello is some hundred bytes, with an ML-KEM share some thousand. */
  private static final int MAX_BYTES = 16 << 10;

  /**
   * SHA-256 of "HelloRetryRequest": the random of a ServerHello that is none. Its first eight bytes
   * suffice.
   */
  private static final long RETRY_RANDOM = 0xCF21AD74E59A6111L;

  private final boolean client;
  private @Nullable ByteBuf seen = Unpooled.buffer(256, MAX_BYTES);
  private String group = UNKNOWN;

  /**
   * @param client whether this is the client's side, where the ServerHello comes in
   */
  public KeyShareSniffer(boolean client) {
    this.client = client;
  }

  /** The group as IANA names it, or {@value #UNKNOWN}. */
  public String group() {
    return group;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object msg) {
    if (client && msg instanceof ByteBuf bytes) {
      look(bytes);
    }
    ctx.fireChannelRead(msg);
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object msg, ChannelPromise promise) {
    if (!client && msg instanceof ByteBuf bytes) {
      look(bytes);
    }
    ctx.write(msg, promise);
  }

  private void look(ByteBuf bytes) {
    ByteBuf buffer = seen;
    if (buffer == null) {
      return;
    }
    int length = Math.min(bytes.readableBytes(), buffer.maxWritableBytes());
    buffer.writeBytes(bytes, bytes.readerIndex(), length);
    while (buffer.readableBytes() >= RECORD_HEADER) {
      int start = buffer.readerIndex();
      int type = buffer.getUnsignedByte(start);
      int recordLength = buffer.getUnsignedShort(start + 3);
      if (type != HANDSHAKE && type != CHANGE_CIPHER_SPEC) {
        seen = null;
        return;
      }
      if (buffer.readableBytes() < RECORD_HEADER + recordLength) {
        break;
      }
      buffer.skipBytes(RECORD_HEADER);
      ByteBuf record = buffer.readSlice(recordLength);
      if (type == HANDSHAKE && !read(record)) {
        seen = null;
        return;
      }
    }
    if (buffer.maxWritableBytes() == 0) {
      seen = null;
    }
  }

  /** Returns whether to go on looking: only after a HelloRetryRequest. */
  private boolean read(ByteBuf hello) {
    try {
      if (hello.readUnsignedByte() != SERVER_HELLO) {
        return false;
      }
      hello.skipBytes(3 + 2);
      boolean retry = hello.getLong(hello.readerIndex()) == RETRY_RANDOM;
      hello.skipBytes(32);
      hello.skipBytes(hello.readUnsignedByte());
      hello.skipBytes(2 + 1 + 2);
      if (retry) {
        return true;
      }
      while (hello.readableBytes() >= 4) {
        int extension = hello.readUnsignedShort();
        int length = hello.readUnsignedShort();
        if (extension == KEY_SHARE && length >= 2) {
          group = name(hello.readUnsignedShort());
          return false;
        }
        hello.skipBytes(length);
      }
      return false;
    } catch (IndexOutOfBoundsException e) {
      return false; // the engine will judge the message; here it only means that the group stays
      // unknown
    }
  }

  private static String name(int code) {
    return switch (code) {
      case 0x0017 -> "secp256r1";
      case 0x0018 -> "secp384r1";
      case 0x0019 -> "secp521r1";
      case 0x001D -> "x25519";
      case 0x001E -> "x448";
      case 0x11EB -> "SecP256r1MLKEM768";
      case 0x11EC -> "X25519MLKEM768";
      case 0x11ED -> "SecP384r1MLKEM1024";
      default -> "0x" + Integer.toHexString(code);
    };
  }
}
