package io.pageferry.guest.image;

import java.io.IOException;

/** Takes runs of neighbouring pages of 4096 bytes. */
@FunctionalInterface
public interface PageRunConsumer {
  /**
   * Takes one run.
   *
   * @param region the region's index in its guest
   * @param firstPage counted from 0 in the region
   * @param count at least 1; the run ends within the region
   */
  void run(int region, long firstPage, long count) throws IOException;
}
