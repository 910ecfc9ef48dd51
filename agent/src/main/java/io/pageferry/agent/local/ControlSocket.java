package io.pageferry.agent.local;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where {@code pageferry source status}, {@code source cancel}, {@code source postcopy} and {@code
 * target status} reach a running agent: a Unix socket {@code STATE_DIR/run/ROLE-PID.sock} that only
 * its owner may open. One request a connection, one JSON object a line in each direction.
 *
 * <p>Requests are served one after the other on a daemon thread of its own; a client that says
 * nothing for {@value #CLIENT_SECONDS} seconds is dropped.
 */
public final class ControlSocket implements AutoCloseable {
  static final int CLIENT_SECONDS = 2;

  private static final Logger LOG = LoggerFactory.getLogger(ControlSocket.class);
  private static final ObjectMapper JSON = new ObjectMapper();

  private static final Set<String> COMMANDS =
      Set.of(ControlRequest.STATUS, ControlRequest.CANCEL, ControlRequest.POSTCOPY);

  private final Path path;
  private final String role;
  private final ControlHandler handler;
  private final ServerSocketChannel server;

  private ControlSocket(
      Path path, String role, ControlHandler handler, ServerSocketChannel server) {
    this.path = path;
    this.role = role;
    this.handler = handler;
    this.server = server;
  }

  /**
   * Opens the socket of this process and removes those of agents that are no more.
   *
   * @param role {@code source} or {@code target}
   * @throws IOException with a sentence for the user
   */
  public static ControlSocket open(Path stateDirectory, String role, ControlHandler handler)
      throws IOException {
    Path folder = RunFolder.of(stateDirectory);
    RunFolder.create(folder);
    RunFolder.removeStale(folder);
    Path path = RunFolder.socket(folder, role, ProcessHandle.current().pid());
    RunFolder.checkLength(path);
    Files.deleteIfExists(path);
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      // The folder is 0700 already, so nobody else can connect between these two steps.
      server.bind(UnixDomainSocketAddress.of(path));
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
    } catch (IOException e) {
      server.close();
      throw new IOException("cannot open the control socket " + path + ": " + e.getMessage(), e);
    }
    ControlSocket socket = new ControlSocket(path, role, handler, server);
    Thread.ofPlatform().daemon().name("control-socket").start(socket::serve);
    return socket;
  }

  /** Removes the sockets of agents that were killed. What cannot be removed stays. */
  public static void sweep(Path stateDirectory) {
    try {
      RunFolder.removeStale(RunFolder.of(stateDirectory));
    } catch (IOException e) {
      LOG.debug("sockets of agents that are no more stay", e);
    }
  }

  public Path path() {
    return path;
  }

  private void serve() {
    while (server.isOpen()) {
      try (SocketChannel client = server.accept()) {
        answer(client);
      } catch (ClosedChannelException e) {
        return;
      } catch (IOException e) {
        // One bad client must not end the service for the next one.
        LOG.debug("a control connection failed", e);
      }
    }
  }

  private void answer(SocketChannel client) throws IOException {
    LineChannel lines = new LineChannel(client, Duration.ofSeconds(CLIENT_SECONDS));
    ControlReply reply;
    try {
      reply = reply(lines.readLine());
    } catch (IOException e) {
      throw e;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return;
    } catch (Exception e) {
      LOG.debug("a control request failed", e);
      reply = ControlReply.refused(role, "the request failed: " + e.getMessage());
    }
    lines.writeLine(JSON.writeValueAsString(reply));
  }

  private ControlReply reply(String line) throws Exception {
    @Nullable ControlRequest request;
    try {
      request = JSON.readValue(line, ControlRequest.class);
    } catch (JsonProcessingException e) {
      request = null;
    }
    // Jackson leaves out what the line leaves out, whatever the record says.
    if (request == null || request.command() == null || !COMMANDS.contains(request.command())) {
      return ControlReply.refused(role, "the request is not understood");
    }
    return handler.handle(request);
  }

  /** Closes and removes the socket. */
  @Override
  public void close() {
    try {
      server.close();
      Files.deleteIfExists(path);
    } catch (IOException e) {
      LOG.debug("cannot remove {}", path, e);
    }
  }
}
