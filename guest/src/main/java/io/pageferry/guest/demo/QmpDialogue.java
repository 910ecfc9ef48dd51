package io.pageferry.guest.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.pageferry.guest.control.QmpJson;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What the guest answers to each QMP command. Used by one thread at a time. */
final class QmpDialogue {
  private static final List<String> COMMANDS =
      List.of(
          "qmp_capabilities",
          "query-commands",
          "query-status",
          "query-version",
          "stop",
          "cont",
          "migrate",
          "migrate-incoming",
          "query-migrate",
          "migrate-set-capabilities",
          "x-pageferry-handover",
          "x-pageferry-ticks",
          "x-pageferry-verify",
          "quit");

  private final Machine machine;
  private final Handover handover;
  private volatile boolean quitAsked;

  /** Hands a userfaultfd on the guest's memory over. */
  interface Handover {
    /**
     * Returns when it is handed over.
     *
     * @param mode {@code write-protect} or {@code missing}
     */
    void to(Path socket, String mode) throws IOException;
  }

  QmpDialogue(Machine machine, Handover handover) {
    this.machine = machine;
    this.handover = handover;
  }

  /** Whether {@code quit} was answered. */
  boolean quitAsked() {
    return quitAsked;
  }

  static ObjectNode greeting() {
    ObjectNode greeting = QmpJson.object();
    ObjectNode qmp = greeting.putObject("QMP");
    version(qmp.putObject("version"));
    qmp.putArray("capabilities");
    return greeting;
  }

  private static ObjectNode version(ObjectNode version) {
    version.putObject("qemu").put("major", 0).put("minor", 1).put("micro", 0);
    version.put("package", "pageferry demo guest");
    return version;
  }

  static ObjectNode error(String errorClass, @Nullable String description) {
    ObjectNode answer = QmpJson.object();
    answer
        .putObject("error")
        .put("class", errorClass)
        .put("desc", description == null ? "failed" : description);
    return answer;
  }

  /**
   * The answer to a line; null to an empty one.
   *
   * @param negotiating only {@code qmp_capabilities} is answered yet
   */
  @Nullable ObjectNode answer(byte[] line, boolean negotiating) throws InterruptedException {
    ObjectNode request;
    try {
      if (new String(line, StandardCharsets.ISO_8859_1).isBlank()) {
        return null;
      }
      request = QmpJson.parse(line);
    } catch (IOException e) {
      return error("GenericError", "cannot read the command: " + e.getMessage());
    }
    JsonNode command = request.get("execute");
    ObjectNode answer;
    if (command == null || !command.isTextual()) {
      answer = error("GenericError", "a command has the key 'execute' with a text");
    } else if (negotiating && !command.asText().equals("qmp_capabilities")) {
      answer =
          error("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
    } else {
      answer = new Call(request.path("arguments")).execute(command.asText());
    }
    JsonNode id = request.get("id");
    if (id != null) {
      answer.set("id", id);
    }
    return answer;
  }

  /** One command with its arguments. */
  private final class Call {
    private final JsonNode arguments;

    Call(JsonNode arguments) {
      this.arguments = arguments;
    }

    ObjectNode execute(String command) throws InterruptedException {
      ObjectNode result = QmpJson.object();
      try {
        switch (command) {
          case "qmp_capabilities", "migrate-set-capabilities" -> {}
          case "query-commands" -> {
            ArrayNode names = QmpJson.object().putArray("commands");
            COMMANDS.forEach(name -> names.addObject().put("name", name));
            return returning(names);
          }
          case "query-version" -> version(result);
          case "query-status" -> {
            RunState state = machine.state();
            result.put("running", state == RunState.RUNNING);
            result.put("status", state.word());
          }
          case "stop" -> machine.stop();
          case "cont" -> machine.cont();
          case "migrate" -> machine.migrate(path());
          case "migrate-incoming" -> machine.migrateIncoming(path());
          case "query-migrate" -> {
            Machine.Migration migration = machine.migration();
            if (!migration.status().equals("none")) {
              result.put("status", migration.status());
            }
            migration.error().ifPresent(error -> result.put("error-desc", error));
          }
          case "x-pageferry-handover" -> handover.to(path("path", text("path")), text("mode"));
          case "x-pageferry-ticks" -> {
            ticks(result);
            if (arguments.path("reset-longest-gap").asBoolean()) {
              machine.resetLongestGap();
            }
          }
          case "x-pageferry-verify" -> {
            machine.checkAll();
            ticks(result);
            result.put("pagesVerified", machine.memory().pages());
          }
          case "quit" -> quitAsked = true;
          default -> {
            return error("CommandNotFound", "The command " + command + " has not been found");
          }
        }
      } catch (MachineException | IOException e) {
        return error("GenericError", e.getMessage());
      } catch (RuntimeException e) {
        return error("GenericError", "the command failed: " + e);
      }
      return returning(result);
    }

    private void ticks(ObjectNode result) {
      GuestCounters counters = machine.counters();
      boolean running = machine.state() == RunState.RUNNING;
      result.put("running", running);
      result.put("ticks", counters.ticks());
      result.put("handoverGapMicros", counters.handoverGapMicros());
      result.put("longestGapMicros", counters.longestGapMicros());
      result.put("operations", counters.writes());
      result.put("operationsPerSecond", running ? counters.writesPerSecond() : 0);
      result.put("pagesChecked", counters.pagesChecked());
      result.put("faultsFound", counters.faults());
      result.put("firstFault", counters.firstFault());
    }

    private Path path() throws MachineException {
      String uri = text("uri");
      if (!uri.startsWith("unix:")) {
        throw new MachineException("the guest knows addresses of the form unix:PATH only");
      }
      return path("uri", uri.substring("unix:".length()));
    }

    private Path path(String key, String text) throws MachineException {
      try {
        return Path.of(text);
      } catch (InvalidPathException e) {
        throw new MachineException("'" + key + "' holds no path: " + e.getReason(), e);
      }
    }

    private String text(String key) throws MachineException {
      JsonNode value = arguments.path(key);
      if (!value.isTextual()) {
        throw new MachineException("Parameter '" + key + "' is missing or no text");
      }
      return value.asText();
    }

    private ObjectNode returning(JsonNode value) {
      ObjectNode answer = QmpJson.object();
      answer.set("return", value);
      return answer;
    }
  }
}
