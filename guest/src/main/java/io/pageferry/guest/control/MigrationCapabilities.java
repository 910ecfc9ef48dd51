package io.pageferry.guest.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What QEMU's own migration is set to do, for as long as it only carries a device state over one
 * socket: what that takes is on, what would be in its way is off, whatever the guest's user has set
 * for migrations of his own. {@link #restore} gives him his settings back.
 *
 * <p>Threading: like the client's; connections to one guest come one after the other.
 */
final class MigrationCapabilities {
  private static final Logger LOG = LoggerFactory.getLogger(MigrationCapabilities.class);

  /**
   * "events" only saves asking again. With "late-block-activate" a QEMU that has loaded its state
   * takes the locks of its disks when it is told to run and not before: until then they are the
   * source's, where the guest may have to go on. With the last one memory in shared files stays
   * where it is.
   */
  private static final Set<String> NEEDED =
      Set.of("events", "late-block-activate", QmpControl.IGNORE_SHARED);

  /**
   * Want more connections than one, or a word of the other QEMU that nobody can give while the
   * state is on its way, or change what becomes of the guest's memory.
   */
  private static final Set<String> IN_THE_WAY =
      Set.of(
          "background-snapshot",
          "compress",
          "mapped-ram",
          "multifd",
          "pause-before-switchover",
          "postcopy-preempt",
          "postcopy-ram",
          "release-ram",
          "return-path",
          "switchover-ack",
          "x-colo",
          "zero-copy-send");

  /**
   * What this process changed and has not set back, as it was before. By the guest's socket: where
   * one connection breaks, the next one has to give back what the first one took.
   */
  private static final Map<Path, Map<String, Boolean>> BEFORE = new ConcurrentHashMap<>();

  private final Path socket;
  private final QmpClient client;
  private final Duration timeout;

  MigrationCapabilities(Path socket, QmpClient client, Duration timeout) {
    this.socket = socket;
    this.client = client;
    this.timeout = timeout;
  }

  /**
   * Sets what has to be set. What a guest does not know it does without: whether QEMU leaves its
   * memory out, {@link QemuMachine#leavesSharedMemoryOut} says.
   *
   * @throws GuestControlException if the guest does not answer
   */
  void prepare() throws GuestControlException {
    Map<String, Boolean> known = BEFORE.getOrDefault(socket, Map.of());
    Map<String, Boolean> found = new TreeMap<>(known);
    Map<String, Boolean> wanted = new TreeMap<>();
    try {
      for (JsonNode entry :
          client.execute("query-migrate-capabilities", QmpJson.object(), timeout)) {
        String name = entry.path("capability").asText();
        boolean on = entry.path("state").asBoolean();
        if (on ? IN_THE_WAY.contains(name) : NEEDED.contains(name)) {
          found.put(name, on);
          wanted.put(name, !on);
        }
      }
      // Before it is done: without an answer it may have been done all the same.
      keep(found);
      // All at once: some of them can be on only together with others.
      set(wanted, timeout);
    } catch (QmpErrorException e) {
      keep(known);
      if (!e.commandUnknown()) {
        LOG.warn("the guest's own migration cannot be set up: {}", e.getMessage());
      }
    }
  }

  /**
   * Sets back what {@link #prepare} has changed, here or over a connection that broke. What cannot
   * be set back now is tried again by the next connection.
   *
   * @param limit how long the guest may take to answer
   */
  void restore(Duration limit) {
    try {
      set(BEFORE.getOrDefault(socket, Map.of()), limit);
      forget();
    } catch (GuestControlException e) {
      LOG.warn(
          "what the guest's own migration was set to do ({}) could not be set back: {}",
          BEFORE.get(socket),
          e.getMessage());
    }
  }

  /** There will be nobody to set anything back at. */
  void forget() {
    BEFORE.remove(socket);
  }

  private void keep(Map<String, Boolean> states) {
    if (states.isEmpty()) {
      forget();
    } else {
      BEFORE.put(socket, Map.copyOf(states));
    }
  }

  private void set(Map<String, Boolean> states, Duration limit) throws GuestControlException {
    if (states.isEmpty()) {
      return;
    }
    ObjectNode arguments = QmpJson.object();
    ArrayNode capabilities = arguments.putArray("capabilities");
    states.forEach((name, on) -> capabilities.addObject().put("capability", name).put("state", on));
    client.execute("migrate-set-capabilities", arguments, limit);
  }
}
