package io.pageferry.guest.control;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What is made of QEMU's answers; that these are its answers, the tests with a QEMU show. */
@Timeout(180)
final class QemuInquiryTest {
  private static final Duration LONG = Duration.ofSeconds(20);

  @TempDir private Path folder;

  private Optional<QemuMachine> asked(ScriptedGuest.Script answers) throws IOException {
    Path socket = folder.resolve("qmp");
    try (ScriptedGuest _ =
            new ScriptedGuest(
                socket,
                guest -> {
                  guest.greet();
                  answers.run(guest);
                  guest.linger();
                });
        QmpClient client = QmpClient.connect(socket, LONG)) {
      return new QemuInquiry(client, LONG).ask();
    }
  }

  @Test
  void findsMemoryDevicesAndWhoElseWritesMemory() throws Exception {
    Optional<QemuMachine> machine =
        asked(
            guest -> {
              guest.answer(guest.hear("qom-get"), "\"pc-i440fx-7.2-machine\"");
              guest.answer(
                  guest.hear("qom-list"),
                  "[{\"name\": \"type\", \"type\": \"string\"},"
                      + " {\"name\": \"net0\", \"type\": \"child<virtio-net-pci>\"},"
                      + " {\"name\": \"gpu\", \"type\": \"child<vfio-pci>\"}]");
              guest.answer(
                  guest.hear("qom-list"),
                  "[{\"name\": \"device[0]\", \"type\": \"child<vhost-user-fs-pci>\"}]");
              guest.answer(
                  guest.hear("x-query-virtio"),
                  "[{\"name\": \"virtio-net\", \"path\": \"/a\"},"
                      + " {\"name\": \"virtio-blk\", \"path\": \"/gone\"},"
                      + " {\"name\": \"virtio-scsi\", \"path\": \"/c\"},"
                      + " {\"name\": \"virtio-rng\", \"path\": \"/b\"}]");
              guest.answer(guest.hear("x-query-virtio-status"), "{\"vhost-dev\": {\"nvqs\": 2}}");
              guest.say(
                  "{\"error\": {\"class\": \"GenericError\", \"desc\": \"gone\"}, \"id\": "
                      + guest.hear("x-query-virtio-status")
                      + "}\r\n");
              guest.answer(guest.hear("x-query-virtio-status"), "{\"vhost-dev\": {\"nvqs\": 2}}");
              guest.answer(guest.hear("x-query-virtio-status"), "{\"vhost-started\": false}");
              guest.answer(
                  guest.hear("query-version"),
                  "{\"qemu\": {\"major\": 7, \"minor\": 2, \"micro\": 22}}");
              guest.answer(
                  guest.hear("query-memdev"),
                  "[{\"id\": \"b\", \"share\": false, \"size\": 4096},"
                      + " {\"id\": \"a\", \"share\": true, \"size\": 8192}]");
              guest.say(
                  "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no mem-path\"}, \"id\": "
                      + guest.hear("qom-get")
                      + "}\r\n");
              guest.answer(guest.hear("qom-get"), "\"/dev/shm/a\"");
              guest.answer(
                  guest.hear("query-migrate"),
                  "{\"blocked-reasons\": [\"a folder is mounted\", \"so is another\"]}");
              guest.answer(
                  guest.hear("query-migrate-capabilities"),
                  "[{\"capability\": \"events\", \"state\": false},"
                      + " {\"capability\": \"x-ignore-shared\", \"state\": true}]");
            });

    assertThat(machine)
        .hasValueSatisfying(
            found -> {
              assertThat(found.type()).isEqualTo("pc-i440fx-7.2");
              assertThat(found.version()).isEqualTo("7.2.22");
              assertThat(found.devices())
                  .containsExactly("virtio-net-pci (net0)", "vfio-pci (gpu)", "vhost-user-fs-pci");
              assertThat(found.strangers())
                  .containsExactly(
                      "vfio-pci (gpu)",
                      "vhost-user-fs-pci",
                      "virtio-net (served by vhost)",
                      "virtio-scsi (served by vhost)");
              assertThat(found.blockers()).containsExactly("a folder is mounted", "so is another");
              assertThat(found.memory())
                  .containsExactly(
                      new QemuMachine.Backend("a", Optional.of(Path.of("/dev/shm/a")), 8192, true),
                      new QemuMachine.Backend("b", Optional.empty(), 4096, false));
              assertThat(found.leavesSharedMemoryOut()).isTrue();
            });
  }

  @Test
  void aGuestWithoutQemusObjectsIsNoQemu() throws Exception {
    assertThat(
            asked(
                guest ->
                    guest.say(
                        "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"?\"}, \"id\": "
                            + guest.hear("qom-get")
                            + "}\r\n")))
        .isEmpty();
  }
}
