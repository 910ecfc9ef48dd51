package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * A control message. Each is an immutable record whose constructor refuses, with an {@link
 * IllegalArgumentException}, values that its format cannot carry.
 */
public sealed interface Message
    permits Hello,
        Welcome,
        Offer,
        Accepted,
        RoundBegin,
        RoundEnd,
        RoundLanded,
        DirtySummary,
        DeviceState,
        DigestValue,
        Prepared,
        Commit,
        Started,
        Abort,
        KeepAlive,
        OwnershipQuery,
        Ownership,
        Reclaim,
        Goodbye,
        Progress,
        Missing,
        Switch,
        PageRequest,
        Settled,
        Resume,
        Resumed,
        Recall,
        Recalled,
        Found {

  /** The type of the frame it travels in. */
  FrameType type();
}
