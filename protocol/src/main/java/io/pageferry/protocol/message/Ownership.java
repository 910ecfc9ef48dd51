package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.UUID;

/**
 * What is on the target's disk.
 *
 * @param migration the one asked for
 * @param state as the ledger has it
 */
public record Ownership(UUID migration, OwnershipState state) implements Message {
  @Override
  public FrameType type() {
    return FrameType.OWNERSHIP;
  }
}
