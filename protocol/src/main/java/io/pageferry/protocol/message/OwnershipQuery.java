package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.UUID;

/**
 * After a lost reply: what does the target's ledger say?
 *
 * @param migration the one in doubt
 */
public record OwnershipQuery(UUID migration) implements Message {
  @Override
  public FrameType type() {
    return FrameType.OWNERSHIP_QUERY;
  }
}
