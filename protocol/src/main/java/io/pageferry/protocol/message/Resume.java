package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.UUID;

/**
 * On a fresh control connection, after post-copy lost its connections: the source has the pages and
 * would like to go on.
 *
 * @param migration the one that was interrupted
 */
public record Resume(UUID migration) implements Message {
  @Override
  public FrameType type() {
    return FrameType.RESUME;
  }
}
