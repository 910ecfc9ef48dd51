package io.pageferry.integration.bench;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** How fast the link between source and target is, by the source agent's own limit. */
enum LinkCap {
  SLOW("100Mbit"),
  FAST("1Gbit"),
  NONE(null);

  private final @Nullable String rate;

  LinkCap(@Nullable String rate) {
    this.rate = rate;
  }

  /** As the names of figures have it. */
  String title() {
    return rate == null ? "uncapped" : rate + "/s";
  }

  /** For the source agent. */
  List<String> options() {
    return rate == null ? List.of() : List.of("--bandwidth", rate);
  }
}
