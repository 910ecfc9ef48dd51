package io.pageferry.guest.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.BufferedReader;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(180)
class PrivateFolderTest {
  /** An agent that makes a folder, names it, and waits to be killed. */
  static final class Agent {
    private Agent() {}

    public static void main(String[] arguments) throws Exception {
      PrivateFolder folder = PrivateFolder.open();
      Path socket = folder.resolve("state0");
      Files.createFile(socket);
      System.out.println(socket);
      System.in.read();
    }
  }

  @Test
  void theFolderOfAKilledAgentGoesWithTheNextOneAndThatOfALivingOneStays() throws Exception {
    Process agent =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Djava.io.tmpdir=" + System.getProperty("java.io.tmpdir"),
                "-cp",
                System.getProperty("java.class.path"),
                Agent.class.getName())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedReader said = agent.inputReader();
        PrivateFolder mine = PrivateFolder.open()) {
      Path socket = Path.of(said.readLine());
      PrivateFolder.sweep();
      assertThat(socket).exists();
      agent.destroyForcibly().waitFor();
      // Another process that sweeps at this moment has the folder for as long.
      await()
          .atMost(Duration.ofSeconds(60))
          .until(
              () -> {
                PrivateFolder.sweep();
                return Files.notExists(socket.getParent());
              });
      assertThat(mine.resolve("lock")).exists();
    } finally {
      agent.destroyForcibly();
    }
  }

  @Test
  void aGuestThatStopsInTheMiddleOfItsStateIsCutOff() throws Exception {
    try (DeviceStateExchange exchange = DeviceStateExchange.open();
        DeviceStateExchange.Saving saving = exchange.startSaving();
        SocketChannel guest =
            DeviceStateSocket.connect(Path.of(saving.uri().substring("unix:".length())))) {
      assertThatThrownBy(() -> saving.await(Duration.ofMillis(300)))
          .isInstanceOf(GuestControlException.class)
          .hasMessageContaining("in time");
      assertThat(guest.read(ByteBuffer.allocate(1))).isEqualTo(-1);
    }
  }
}
