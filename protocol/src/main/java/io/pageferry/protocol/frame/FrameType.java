package io.pageferry.protocol.frame;

import io.pageferry.protocol.message.AbortReason;
import org.jspecify.annotations.Nullable;

/**
 * What a frame carries. The codes are the wire's; 0 is never valid, so zeroed memory never reads as
 * a frame.
 */
public enum FrameType {
  HELLO(1),
  WELCOME(2),
  OFFER(3),
  ACCEPTED(4),
  /** A batch of pages: the only type that is not a control message. */
  PAGES(5),
  ROUND_BEGIN(6),
  ROUND_END(7),
  ROUND_LANDED(8),
  DIRTY_SUMMARY(9),
  DEVICE_STATE(10),
  DIGEST(11),
  PREPARED(12),
  COMMIT(13),
  STARTED(14),
  ABORT(15),
  KEEP_ALIVE(16),
  OWNERSHIP_QUERY(17),
  OWNERSHIP(18),
  RECLAIM(19),
  GOODBYE(20),
  PROGRESS(21),
  MISSING(22),
  SWITCH(23),
  PAGE_REQUEST(24),
  SETTLED(25),
  RESUME(26),
  RESUMED(27),
  RECALL(28),
  RECALLED(29),
  FOUND(30);

  private static final @Nullable FrameType[] BY_CODE = byCode();

  private final int code;

  FrameType(int code) {
    this.code = code;
  }

  /** The number on the wire, 1 to 255. */
  public int code() {
    return code;
  }

  /**
   * The type with this number.
   *
   * @throws ProtocolException if version 1 knows no such type
   */
  public static FrameType of(int code) throws ProtocolException {
    FrameType type = code >= 0 && code < BY_CODE.length ? BY_CODE[code] : null;
    if (type == null) {
      throw new ProtocolException(
          AbortReason.PROTOCOL_VIOLATION, "frame type " + code + " is not known");
    }
    return type;
  }

  private static @Nullable FrameType[] byCode() {
    @Nullable FrameType[] table = new @Nullable FrameType[32];
    for (FrameType type : values()) {
      table[type.code] = type;
    }
    return table;
  }
}
