package io.pageferry.agent.local;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import java.util.List;

/**
 * One line from an agent.
 *
 * @param ok whether the request was carried out
 * @param text one sentence; for a refusal, why
 * @param role {@code source} or {@code target}
 * @param pid the agent's process
 * @param migrations what it is at work on
 */
@JsonIgnoreProperties(ignoreUnknown = true)
public record ControlReply(
    boolean ok, String text, String role, long pid, List<MigrationStatus> migrations) {
  public ControlReply {
    migrations = migrations == null ? List.of() : List.copyOf(migrations);
  }

  public static ControlReply done(String role, String text, List<MigrationStatus> migrations) {
    return new ControlReply(true, text, role, ProcessHandle.current().pid(), migrations);
  }

  public static ControlReply refused(String role, String text) {
    return new ControlReply(false, text, role, ProcessHandle.current().pid(), List.of());
  }
}
