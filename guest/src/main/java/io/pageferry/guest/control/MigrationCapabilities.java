package io.pageferry.guest.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What QEMU's own migration is set to do, for as long as it only carries a device state over one
 * socket: what that takes is on, what would be in its way is off, whatever the guest's user has set
 * for migrations of his own. {@link #restore} gives him his settings back.
 *
 * <p>Threading: like the client's.
 */
final class MigrationCapabilities {
  private static final Logger LOG = LoggerFactory.getLogger(MigrationCapabilities.class);

  /**
   * "events" only saves asking again; with the other one memory in shared files stays where it is.
   */
  private static final Set<String> NEEDED = Set.of("events", QmpControl.IGNORE_SHARED);

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

  private final QmpClient client;
  private final Duration timeout;

  /** What was changed, as it was before. */
  private volatile Map<String, Boolean> before = Map.of();

  MigrationCapabilities(QmpClient client, Duration timeout) {
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
    Map<String, Boolean> found = new TreeMap<>();
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
      // All at once: some of them can be on only together with others.
      set(wanted, timeout);
      before = found;
    } catch (QmpErrorException e) {
      // Not a debug message: the demo guest rehearses its own move and shows those.
      LOG.trace("setting the capabilities of the guest's own migration", e);
    }
  }

  /**
   * Sets back what {@link #prepare} has changed, if that is possible now.
   *
   * @param limit how long the guest may take to answer
   */
  void restore(Duration limit) {
    Map<String, Boolean> changed = before;
    before = Map.of();
    try {
      set(changed, limit);
    } catch (GuestControlException e) {
      LOG.debug("setting back the capabilities of the guest's own migration", e);
    }
  }

  /** There will be nobody to set anything back at. */
  void forget() {
    before = Map.of();
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
