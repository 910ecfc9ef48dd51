package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.UUID;

/**
 * The source would like its guest back. The target writes {@link OwnershipState#ABANDONED} to its
 * ledger, unless it has taken over, and answers with {@link Ownership}.
 *
 * @param migration the one in doubt
 */
public record Reclaim(UUID migration) implements Message {
  @Override
  public FrameType type() {
    return FrameType.RECLAIM;
  }
}
