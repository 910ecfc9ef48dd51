package io.pageferry.agent.doctor;

import io.pageferry.guest.linux.Feature;
import io.pageferry.guest.linux.KernelFeatures;

/**
 * What the kernel's features come to.
 *
 * @param kernelTracking whether the kernel can tell which pages a guest writes
 * @param sentence for the user
 */
record Diagnosis(boolean kernelTracking, String sentence) {

  static Diagnosis of(KernelFeatures features) {
    Feature tracking = features.get(KernelFeatures.WRITE_TRACKING);
    if (!tracking.available()) {
      return new Diagnosis(
          false,
          "The kernel cannot tell which pages a guest writes (see above): guests can still be moved"
              + " with --tracking digest, which reads and compares all their memory in every"
              + " round.");
    }
    Feature others = features.get(KernelFeatures.PAGEMAP_OF_OTHERS);
    return new Diagnosis(
        true,
        "Guests can be moved by pre-copy; the kernel tells which pages they write"
            // Of a guest that is not running yet nothing can be tried.
            + (others.available() ? "." : ", of guests that run as the same user as the agent."));
  }
}
