package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * What one measured migration came to.
 *
 * @param memoryPerSecond bytes of guest memory that the first round covered in a second
 * @param sourceResident the source agent's largest resident memory without the image, bytes
 * @param targetResident the target agent's
 * @param report the source agent's report
 */
record Passage(double memoryPerSecond, long sourceResident, long targetResident, JsonNode report) {

  private static final int PAGE = 4096;

  static Passage of(JsonNode report, long sourceResident, long targetResident) {
    JsonNode first = report.path("rounds").path(0);
    double bytes = first.path("pages").asDouble() * PAGE;
    return new Passage(
        bytes * 1000 / first.path("ms").asDouble(), sourceResident, targetResident, report);
  }
}
