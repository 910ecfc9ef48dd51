package io.pageferry.integration.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.pageferry.integration.process.Caller;
import java.util.Locale;

/**
 * The source agent's report together with what the guest itself says on the target.
 *
 * @param json the report with {@code guestDowntimeMs}, {@code longestGapMs} and {@code verified}
 *     filled in
 * @param testimony what the guest says
 */
record DemoReport(ObjectNode json, Testimony testimony) {

  /**
   * Puts both together.
   *
   * @param report the source agent's report; changed and kept
   */
  static DemoReport of(ObjectNode report, Testimony testimony) {
    report.put("guestDowntimeMs", testimony.downtimeMillis());
    report.put("longestGapMs", testimony.longestGapMillis());
    report.put("verified", report.path("verified").asBoolean() && testimony.foundNothing());
    return new DemoReport(report, testimony);
  }

  /** Whether the guest ran on the target before all of its pages were there. */
  boolean wasPostcopy() {
    return !json.path("switchedBy").isNull() && !json.path("switchedBy").isMissingNode();
  }

  /** Adds what a client heard of it. */
  void noteConversation(Caller.Conversation conversation) {
    json.putObject("client")
        .put("lines", conversation.lines())
        .put("bytes", conversation.bytes())
        .put("longestPauseMs", conversation.longestPause().toNanos() / 1e6);
  }

  /**
   * What the guest says, in a few lines for people; what the agents say, the source agent has said.
   */
  String text() {
    return String.join("\n", stoodStill(), dirtyPages(), client() + atWork() + verification())
        + "\n";
  }

  /** Nothing where nobody talked to it; a connection that breaks ends the demo. */
  private String client() {
    JsonNode client = json.path("client");
    return client.isObject()
        ? String.format(
            Locale.ROOT,
            "  the client waited %.1f ms at most for an answer; %,d lines came back, none lost or"
                + " doubled, on one connection%n",
            client.path("longestPauseMs").asDouble(),
            client.path("lines").asLong())
        : "";
  }

  /** Nothing where the guest was not slowed down by missing pages, or does not count. */
  private String atWork() {
    return wasPostcopy() && json.path("application").path("afterOpsPerSecond").isNumber()
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
        "  the guest  stood still for %.1f ms %s (longest gap of its life %.1f ms)",
        json.path("guestDowntimeMs").asDouble(),
        testimony.clock(),
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
    if (!testimony.foundNothing()) {
      return String.format(
          Locale.ROOT,
          "  NOT WHOLE  the guest checked %,d pages on the target and found %,d damaged",
          testimony.pagesVerified(),
          testimony.faults());
    }
    return String.format(
        Locale.ROOT,
        "  whole      the guest checked all its %,d pages on the target: none torn, stale or misplaced",
        testimony.pagesVerified());
  }
}
