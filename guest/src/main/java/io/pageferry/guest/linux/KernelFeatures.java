package io.pageferry.guest.linux;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * What the kernel, as it is set up for this process, can do for us: probed by doing it on memory of
 * our own, not by reading version numbers.
 *
 * <p>Every fallback can be forced: the system property {@value #WITHOUT} lists features, separated
 * by commas, that count as missing. A precaution can be lifted: {@value #ALLOW} lists features that
 * count as there.
 *
 * <p>Immutable.
 */
public final class KernelFeatures {
  /** Names features that are not to be used. */
  public static final String WITHOUT = "pageferry.kernel.without";

  /** Names features that are to be used although a precaution speaks against them. */
  public static final String ALLOW = "pageferry.kernel.allow";

  public static final String KERNEL = "kernel";
  public static final String USERFAULTFD = "userfaultfd";
  public static final String WRITE_PROTECT_ASYNC = "write-protect-async";
  public static final String PAGEMAP_SCAN = "pagemap-scan";
  public static final String WRITE_TRACKING = "write-tracking";
  public static final String MISSING_FAULTS = "missing-faults";
  public static final String PAGEMAP_OF_OTHERS = "pagemap-of-others";
  public static final String PROCESS_DESCRIPTORS = "process-descriptors";
  public static final String ATTACH = "attach";
  public static final String URGENT_THREADS = "urgent-threads";
  public static final String MEMFD = "memfd";
  public static final String HUGETLBFS = "hugetlbfs";
  public static final String HUGE_PAGE_TRACKING = "huge-page-tracking";

  private final List<Feature> features;

  private KernelFeatures(List<Feature> features) {
    this.features = List.copyOf(features);
  }

  private static final class Once {
    static final KernelFeatures PROBED =
        probe(names(System.getProperty(WITHOUT, "")), names(System.getProperty(ALLOW, "")));

    private Once() {}
  }

  /** As probed once in this process, with what the system properties force. */
  public static KernelFeatures probed() {
    return Once.PROBED;
  }

  /**
   * Probes now; takes a few milliseconds.
   *
   * @param without names of features to count as missing
   * @param allow names of features to count as there
   */
  public static KernelFeatures probe(Set<String> without, Set<String> allow) {
    List<Feature> forced = new ArrayList<>();
    for (Feature feature : new KernelProbe().run()) {
      forced.add(
          without.contains(feature.name())
              ? new Feature(
                  feature.name(), false, "switched off by " + WITHOUT, "Remove it from " + WITHOUT)
              : allow.contains(feature.name())
                  ? new Feature(feature.name(), true, "allowed by " + ALLOW, "")
                  : feature);
    }
    return new KernelFeatures(forced);
  }

  private static Set<String> names(String list) {
    Set<String> names = new TreeSet<>();
    for (String name : list.split(",", -1)) {
      if (!name.isBlank()) {
        names.add(name.strip());
      }
    }
    return names;
  }

  /** In the order in which they should be shown. */
  public List<Feature> all() {
    return features;
  }

  /** The feature of this name, one of the constants here. */
  public Feature get(String name) {
    return features.stream()
        .filter(feature -> feature.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no feature is called " + name));
  }

  public boolean has(String name) {
    return get(name).available();
  }

  /**
   * Insists on a feature.
   *
   * @throws IOException whose message says what is missing and what to do
   */
  public void require(String name) throws IOException {
    Feature feature = get(name);
    if (!feature.available() && name.equals(MISSING_FAULTS) && !has(USERFAULTFD)) {
      // Who may not have the descriptor is told which grant that takes.
      feature = get(USERFAULTFD);
    }
    if (!feature.available()) {
      throw new IOException(
          feature.name()
              + ": "
              + feature.detail()
              + (feature.remedy().isEmpty() ? "" : " (" + feature.remedy() + ")"));
    }
  }
}
