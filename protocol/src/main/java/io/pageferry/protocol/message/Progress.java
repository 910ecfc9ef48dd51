package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * How far the target is; optional.
 *
 * @param pagesLanded since the migration began, zero pages included
 */
public record Progress(long pagesLanded) implements Message {
  public Progress {
    Bounds.checkCount("pages landed", pagesLanded);
  }

  @Override
  public FrameType type() {
    return FrameType.PROGRESS;
  }
}
