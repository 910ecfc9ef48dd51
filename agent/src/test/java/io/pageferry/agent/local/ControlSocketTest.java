package io.pageferry.agent.local;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(180)
class ControlSocketTest {
  @TempDir Path state;
  private final UUID migration = UUID.randomUUID();

  private ControlSocket open() throws IOException {
    return ControlSocket.open(
        state,
        "source",
        request ->
            ControlReply.done(
                "source",
                request.command(),
                List.of(
                    new MigrationStatus(migration, "demo", "peer", "round 2", 2, 9, 8, 1, 5, 3))));
  }

  @Test
  void aQuestionIsAnswered() throws Exception {
    try (ControlSocket socket = open()) {
      List<ControlReply> replies = ControlClient.askAll(state, "source", ControlRequest.status());
      assertThat(replies).hasSize(1);
      ControlReply reply = replies.get(0);
      assertThat(reply.ok()).isTrue();
      assertThat(reply.text()).isEqualTo("status");
      assertThat(reply.pid()).isEqualTo(ProcessHandle.current().pid());
      assertThat(reply.migrations())
          .extracting(MigrationStatus::migration)
          .containsExactly(migration);
      assertThat(ControlClient.askAll(state, "target", ControlRequest.status())).isEmpty();
      assertThat(socket.path()).exists();
    }
    assertThat(state.resolve("run")).isEmptyDirectory();
  }

  @Test
  void onlyTheOwnerMayAsk() throws Exception {
    try (ControlSocket socket = open()) {
      assertThat(permissions(socket.path())).isEqualTo("rw-------");
      assertThat(permissions(state.resolve("run"))).isEqualTo("rwx------");
    }
  }

  private static String permissions(Path path) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  @Test
  void theRequestArrivesAsItWasSent() throws Exception {
    AtomicReference<ControlRequest> seen = new AtomicReference<>();
    try (ControlSocket socket =
        ControlSocket.open(
            state,
            "source",
            request -> {
              seen.set(request);
              return ControlReply.refused("source", "too late");
            })) {
      ControlReply reply = ControlClient.ask(socket.path(), ControlRequest.cancel(migration));
      assertThat(reply.ok()).isFalse();
      assertThat(reply.text()).isEqualTo("too late");
      assertThat(seen.get()).isEqualTo(ControlRequest.cancel(migration));
    }
  }

  @Test
  void aHandlerThatFailsIsAnAnswerToo() throws Exception {
    try (ControlSocket socket =
        ControlSocket.open(
            state,
            "source",
            request -> {
              throw new IllegalStateException("broken");
            })) {
      assertThat(ControlClient.ask(socket.path(), ControlRequest.status()).text())
          .contains("broken");
      assertThat(ControlClient.ask(socket.path(), ControlRequest.status()).ok()).isFalse();
    }
  }

  @Test
  void garbageEndlessLinesAndSilenceDoNotEndTheService() throws Exception {
    try (ControlSocket socket = open()) {
      for (String bad :
          new String[] {"\n", "garbage\n", "{\"command\":[1]}\n", "{}\n", "null\n", "[]\n"}) {
        try (SocketChannel client = connect(socket)) {
          client.write(ByteBuffer.wrap(bad.getBytes(StandardCharsets.UTF_8)));
          assertThat(new LineChannel(client, Duration.ofSeconds(30)).readLine())
              .contains("\"ok\":false");
        }
      }
      try (SocketChannel client = connect(socket)) {
        byte[] endless = new byte[2 * LineChannel.MAX_LINE];
        Arrays.fill(endless, (byte) 'x');
        assertThatThrownBy(
                () -> {
                  client.write(ByteBuffer.wrap(endless));
                  new LineChannel(client, Duration.ofSeconds(30)).readLine();
                })
            .isInstanceOf(IOException.class);
      }
      try (SocketChannel silent = connect(socket)) {
        assertThat(silent.isConnected()).isTrue();
        assertThat(ControlClient.ask(socket.path(), ControlRequest.status()).ok()).isTrue();
      }
    }
  }

  private static SocketChannel connect(ControlSocket socket) throws IOException {
    return SocketChannel.open(UnixDomainSocketAddress.of(socket.path()));
  }

  @Test
  void theSocketsOfDeadAgentsAreRemovedAndThoseOfLiveOnesStay() throws Exception {
    Path run = state.resolve("run");
    Files.createDirectories(run);
    Path dead = run.resolve("target-999999.sock");
    Path live = run.resolve("target-1.sock");
    ServerSocketChannel.open(StandardProtocolFamily.UNIX)
        .bind(UnixDomainSocketAddress.of(dead))
        .close();
    assertThat(dead).exists();
    try (ServerSocketChannel other = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      other.bind(UnixDomainSocketAddress.of(live));
      assertThat(ControlClient.sockets(state, "target")).containsExactly(live, dead);
      open().close();
      assertThat(ControlClient.sockets(state, "target")).containsExactly(live);
    }
  }

  @Test
  void whoeverSettlesWhatAgentsLeftRemovesTheirSockets() throws Exception {
    ControlSocket.sweep(state.resolve("none"));
    Path dead = Files.createDirectories(state.resolve("run")).resolve("source-999999.sock");
    ServerSocketChannel.open(StandardProtocolFamily.UNIX)
        .bind(UnixDomainSocketAddress.of(dead))
        .close();
    try (ControlSocket live = open()) {
      ServerSocketChannel.open(StandardProtocolFamily.UNIX)
          .bind(UnixDomainSocketAddress.of(dead.resolveSibling("target-999998.sock")))
          .close();
      ControlSocket.sweep(state);
      try (Stream<Path> left = Files.list(state.resolve("run"))) {
        assertThat(left).containsExactly(live.path());
      }
    }
  }

  @Test
  void theSocketOfAnAgentThatAcceptsNobodyStays() throws Exception {
    Path busy = Files.createDirectories(state.resolve("run")).resolve("source-999999.sock");
    List<SocketChannel> waiting = new ArrayList<>();
    try (ServerSocketChannel agent = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      agent.bind(UnixDomainSocketAddress.of(busy), 1);
      boolean room = true;
      while (room) {
        SocketChannel one = SocketChannel.open(StandardProtocolFamily.UNIX);
        waiting.add(one);
        one.configureBlocking(false);
        try {
          one.connect(UnixDomainSocketAddress.of(busy));
        } catch (IOException full) {
          room = false;
        }
      }
      ControlSocket.sweep(state);
      assertThat(busy).exists();
    } finally {
      for (SocketChannel one : waiting) {
        one.close();
      }
    }
  }

  @Test
  void aPathTooLongForASocketIsSaidSo() {
    assertThatThrownBy(
            () ->
                ControlSocket.open(
                    state.resolve("x".repeat(100)),
                    "source",
                    request -> ControlReply.refused("", "")))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("--state");
  }
}
