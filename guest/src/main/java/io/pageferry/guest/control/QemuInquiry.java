package io.pageferry.guest.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** Asks a guest whether it is a QEMU, and which machine it runs. */
final class QemuInquiry {
  private static final String MACHINE = "/machine";

  /** Where QEMU keeps the devices of its command line, with and without an id. */
  private static final List<String> DEVICE_FOLDERS =
      List.of("/machine/peripheral", "/machine/peripheral-anon");

  private static final String CHILD = "child<";

  private final QmpClient client;
  private final Duration timeout;

  QemuInquiry(QmpClient client, Duration timeout) {
    this.client = client;
    this.timeout = timeout;
  }

  /** The machine; empty for a guest that has no QEMU object model, as the demo guest. */
  Optional<QemuMachine> ask() throws GuestControlException {
    String type;
    try {
      type = property(MACHINE, "type").asText();
    } catch (QmpErrorException e) {
      if (e.commandUnknown()) {
        return Optional.empty();
      }
      throw e;
    }
    List<String> devices = new ArrayList<>();
    List<String> strangers = new ArrayList<>();
    for (String folder : DEVICE_FOLDERS) {
      for (JsonNode entry : list(folder)) {
        String kind = entry.path("type").asText();
        if (kind.startsWith(CHILD)) {
          String device = name(kind, entry.path("name").asText());
          devices.add(device);
          if (kind.contains("vfio") || kind.contains("vhost")) {
            strangers.add(device);
          }
        }
      }
    }
    strangers.addAll(servedByVhost());
    return Optional.of(
        new QemuMachine(
            version(),
            type.endsWith("-machine")
                ? type.substring(0, type.length() - "-machine".length())
                : type,
            backends(),
            devices,
            strangers,
            blockers(),
            leavesSharedMemoryOut()));
  }

  private static String name(String kind, String name) {
    String type = kind.substring(CHILD.length(), kind.length() - 1);
    return name.startsWith("device[") ? type : type + " (" + name + ")";
  }

  private String version() throws GuestControlException {
    JsonNode version = execute("query-version", QmpJson.object()).path("qemu");
    return "%d.%d.%d"
        .formatted(
            version.path("major").asInt(),
            version.path("minor").asInt(),
            version.path("micro").asInt());
  }

  private List<QemuMachine.Backend> backends() throws GuestControlException {
    List<QemuMachine.Backend> backends = new ArrayList<>();
    for (JsonNode backend : execute("query-memdev", QmpJson.object())) {
      String id = backend.path("id").asText();
      backends.add(
          new QemuMachine.Backend(
              id, file(id), backend.path("size").asLong(), backend.path("share").asBoolean()));
    }
    // QEMU lists them last one first.
    backends.sort(Comparator.comparing(QemuMachine.Backend::id));
    return backends;
  }

  private Optional<Path> file(String backend) throws GuestControlException {
    try {
      String path = property("/objects/" + backend, "mem-path").asText();
      return path.isEmpty() ? Optional.empty() : Optional.of(Path.of(path));
    } catch (QmpErrorException | InvalidPathException e) {
      // Anonymous memory and memfd have no such property.
      return Optional.empty();
    }
  }

  /** Virtio devices of an ordinary type whose queues the kernel or another process serves. */
  private List<String> servedByVhost() throws GuestControlException {
    List<String> served = new ArrayList<>();
    JsonNode devices;
    try {
      devices = execute("x-query-virtio", QmpJson.object());
    } catch (QmpErrorException e) {
      // Before QEMU 7.2 there is no such question; the types above are known all the same.
      return served;
    }
    for (JsonNode device : devices) {
      ObjectNode arguments = QmpJson.object();
      arguments.put("path", device.path("path").asText());
      try {
        if (execute("x-query-virtio-status", arguments).has("vhost-dev")) {
          served.add(device.path("name").asText() + " (served by vhost)");
        }
      } catch (QmpErrorException e) {
        // Unplugged since it was listed; the others are still to be asked for.
      }
    }
    return served;
  }

  /** A mounted host folder, a device that has no state to save, and the like. */
  private List<String> blockers() throws GuestControlException {
    List<String> blockers = new ArrayList<>();
    execute("query-migrate", QmpJson.object())
        .path("blocked-reasons")
        .forEach(reason -> blockers.add(reason.asText()));
    return blockers;
  }

  private boolean leavesSharedMemoryOut() throws GuestControlException {
    for (JsonNode capability : execute("query-migrate-capabilities", QmpJson.object())) {
      if (capability.path("capability").asText().equals(QmpControl.IGNORE_SHARED)) {
        return capability.path("state").asBoolean();
      }
    }
    return false;
  }

  private JsonNode list(String folder) throws GuestControlException {
    ObjectNode arguments = QmpJson.object();
    arguments.put("path", folder);
    return execute("qom-list", arguments);
  }

  private JsonNode property(String path, String name) throws GuestControlException {
    ObjectNode arguments = QmpJson.object();
    arguments.put("path", path).put("property", name);
    return execute("qom-get", arguments);
  }

  private JsonNode execute(String command, ObjectNode arguments) throws GuestControlException {
    return client.execute(command, arguments, timeout);
  }
}
