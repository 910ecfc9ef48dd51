package io.pageferry.integration.process;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * One run of {@code source migrate}.
 *
 * @param agent the source agent
 * @param reportFile where it writes its report
 */
public record Departure(RunningProcess agent, Path reportFile) {

  /**
   * Waits for the end of the migration.
   *
   * @param limit how long at most
   * @return the agent's exit code
   * @throws ProcessFailure if it still runs then
   * @throws InterruptedException if this thread was interrupted
   */
  public int awaitExit(Duration limit) throws ProcessFailure, InterruptedException {
    return agent.awaitExit(limit);
  }

  /**
   * The report.
   *
   * @throws IOException if there is none
   */
  public JsonNode report() throws IOException {
    return new ObjectMapper().readTree(Files.readString(reportFile));
  }
}
