package io.pageferry.integration.process;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/**
 * QEMU's own migration of a guest, from one process to another over TCP on this machine: what
 * Pageferry is compared with.
 *
 * @param channels of multifd; 0 for a single stream
 * @param bytesPerSecond at most
 * @param downtimeLimit how long the guest may stand still
 */
public record QemuOwnMigration(int channels, long bytesPerSecond, Duration downtimeLimit) {
  /** More than any link carries: QEMU would hold itself to a gigabit per second otherwise. */
  public static final long UNLIMITED = 100L << 30;

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration LIMIT = Duration.ofMinutes(3);
  private static final long LOOK_NANOS = 20_000_000;

  /**
   * What one migration came to, by QEMU's own count.
   *
   * @param orderedNanos when it was told to begin, as {@link System#nanoTime} has it
   * @param totalMillis from then on
   */
  public record Outcome(long orderedNanos, double totalMillis, long bytes) {}

  /**
   * Moves a guest; it runs there when this returns, and the one here stands still for good.
   *
   * @param to as {@link SourceHost#awaitGuest} starts it
   * @throws IOException if it does not arrive
   */
  public Outcome move(QemuGuest from, QemuGuest to) throws IOException, InterruptedException {
    to.console().awaitConnected(LIMIT);
    String uri = "tcp:127.0.0.1:" + freePort();
    try (QmpQuestions there = to.questions();
        QmpQuestions here = from.questions()) {
      prepare(there);
      prepare(here);
      there.ask("migrate-incoming", JSON.createObjectNode().put("uri", uri));
      long ordered = System.nanoTime();
      here.ask("migrate", JSON.createObjectNode().put("uri", uri));
      Outcome outcome = await(here, ordered);
      // The source says so as soon as everything is sent.
      var _ = await(there, ordered);
      return outcome;
    }
  }

  private void prepare(QmpQuestions questions) throws IOException {
    ObjectNode arguments = JSON.createObjectNode();
    ArrayNode capabilities = arguments.putArray("capabilities");
    // Pageferry sets it back when it lets go of a guest; left on it would leave the memory behind.
    capabilities.addObject().put("capability", "x-ignore-shared").put("state", false);
    capabilities.addObject().put("capability", "multifd").put("state", channels > 0);
    questions.ask("migrate-set-capabilities", arguments);
    ObjectNode parameters = JSON.createObjectNode();
    parameters.put("max-bandwidth", bytesPerSecond);
    parameters.put("downtime-limit", downtimeLimit.toMillis());
    if (channels > 0) {
      parameters.put("multifd-channels", channels);
    }
    questions.ask("migrate-set-parameters", parameters);
  }

  private static Outcome await(QmpQuestions here, long ordered) throws IOException {
    long deadline = System.nanoTime() + LIMIT.toNanos();
    while (true) {
      JsonNode migration = here.ask("query-migrate");
      String status = migration.path("status").asText();
      if (status.equals("completed")) {
        return new Outcome(
            ordered,
            migration.path("total-time").asDouble(),
            migration.path("ram").path("transferred").asLong());
      }
      if (status.equals("failed") || status.equals("cancelled")) {
        throw new ProcessFailure("QEMU's own migration " + status + ": " + migration);
      }
      if (System.nanoTime() > deadline) {
        throw new ProcessFailure("QEMU's own migration takes more than " + LIMIT);
      }
      LockSupport.parkNanos(LOOK_NANOS);
    }
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }
}
