package io.pageferry.integration.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Locale;

/**
 * The source agent's report together with what the guest itself says on the target.
 *
 * @param json the report with {@code guestDowntimeMs}, {@code longestGapMs} and {@code verified}
 *     filled in
 * @param pagesVerified how many pages the guest checked after the move
 * @param faults how many damaged pages it has ever found
 * @param operations what it has written since it began
 */
record DemoReport(ObjectNode json, long pagesVerified, long faults, long operations) {

  /**
   * Puts both together.
   *
   * @param report the source agent's report; changed and kept
   * @param ticks the guest's {@code x-pageferry-ticks}
   * @param verification the guest's {@code x-pageferry-verify}
   */
  static DemoReport of(ObjectNode report, JsonNode ticks, JsonNode verification) {
    long pages = verification.path("pagesVerified").asLong();
    long faults = verification.path("faultsFound").asLong();
    report.put("guestDowntimeMs", ticks.path("handoverGapMicros").asLong() / 1000.0);
    report.put("longestGapMs", ticks.path("longestGapMicros").asLong() / 1000.0);
    boolean complete = pages >= report.path("pages").path("total").asLong();
    report.put("verified", report.path("verified").asBoolean() && complete && faults == 0);
    return new DemoReport(report, pages, faults, ticks.path("operations").asLong());
  }

  /** Whether the guest ran on the target before all of its pages were there. */
  boolean wasPostcopy() {
    return !json.path("switchedBy").isNull() && !json.path("switchedBy").isMissingNode();
  }

  /**
   * Adds what the guest does now.
   *
   * @param ticks the guest's {@code x-pageferry-ticks}, when it has had all its pages for a second
   */
  void noteOperationsAfter(JsonNode ticks) {
    json.withObject("/application")
        .put("afterOpsPerSecond", ticks.path("operationsPerSecond").asDouble());
  }

  /** Whether the guest's own check found every page as it left it. */
  boolean guestFoundNothing() {
    return faults == 0 && pagesVerified >= json.path("pages").path("total").asLong();
  }

  /**
   * What the guest says, in a few lines for people; what the agents say, the source agent has said.
   */
  String text() {
    return String.join("\n", stoodStill(), dirtyPages(), atWork() + verification()) + "\n";
  }

  /** Nothing where the guest was not slowed down by missing pages. */
  private String atWork() {
    return wasPostcopy()
        ? "  at work    %s before, %s while pages were missing, %s after%n"
            .formatted(operations("before"), operations("during"), operations("after"))
        : "";
  }

  private String operations(String when) {
    JsonNode perSecond = json.path("application").path(when + "OpsPerSecond");
    return perSecond.isNumber()
        ? String.format(Locale.ROOT, "%,.0f page writes/s", perSecond.asDouble())
        : "unknown";
  }

  private String stoodStill() {
    return String.format(
        Locale.ROOT,
        "  the guest  stood still for %.1f ms by its own clock (longest gap of its life %.1f ms)",
        json.path("guestDowntimeMs").asDouble(),
        json.path("longestGapMs").asDouble());
  }

  private String dirtyPages() {
    if (json.path("tracking").isNull()) {
      return "  tracked    not at all: in this mode no page was sent before the guest stood still";
    }
    return "  tracked    "
        + switch (json.path("tracking").asText()) {
          case "userfaultfd-wp" -> "by the kernel (userfaultfd write protection)";
          case "digest" -> "by comparing digests, which is slower (see ./pageferry doctor)";
          default -> json.path("tracking").asText();
        };
  }

  private String verification() {
    if (!guestFoundNothing()) {
      return String.format(
          Locale.ROOT,
          "  NOT WHOLE  the guest checked %,d pages on the target and found %,d damaged",
          pagesVerified,
          faults);
    }
    return String.format(
        Locale.ROOT,
        "  whole      the guest checked all its %,d pages on the target: none torn, stale or misplaced",
        pagesVerified);
  }
}
