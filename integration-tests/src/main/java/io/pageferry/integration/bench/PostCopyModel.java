package io.pageferry.integration.bench;

/**
 * What post-copy costs, after the published model: a link of so many bytes a second, and so many
 * seconds to handle a fault apart from carrying its page.
 *
 * @param bytesPerSecond R: what the link carries of pages
 * @param faultSeconds Tf
 */
record PostCopyModel(double bytesPerSecond, double faultSeconds) {
  private static final double PAGE = 4096;

  /**
   * Milliseconds for which the guest runs nowhere.
   *
   * @param stateBytes Vmin: what has to move before it starts
   */
  double downtimeMillis(double stateBytes) {
    return carried(stateBytes);
  }

  /**
   * How often the guest waits for the network.
   *
   * @param pages (V − Vmin) / P: those that are missing when it starts
   * @param further Y: pages that come with each one that it waits for
   */
  double faults(double pages, double further) {
    return pages / (1 + further);
  }

  /** Milliseconds from the guest's start until all of its pages are there; as {@link #faults}. */
  double resumeMillis(double pages, double further) {
    return faults(pages, further) * faultSeconds * 1000 + carried(pages * PAGE);
  }

  /** Milliseconds that the link takes for so many bytes. */
  double carried(double bytes) {
    return bytes / bytesPerSecond * 1000;
  }
}
