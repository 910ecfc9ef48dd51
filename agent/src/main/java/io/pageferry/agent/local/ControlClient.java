package io.pageferry.agent.local;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.ConnectException;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Asks the agents that run on this host. */
public final class ControlClient {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration TIMEOUT = Duration.ofSeconds(5);

  private ControlClient() {}

  /** The sockets of the agents of one role that were started with this state directory. */
  public static List<Path> sockets(Path stateDirectory, String role) throws IOException {
    return RunFolder.sockets(RunFolder.of(stateDirectory), role);
  }

  /** One request to one agent. */
  public static ControlReply ask(Path socket, ControlRequest request) throws IOException {
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
      LineChannel lines = new LineChannel(channel, TIMEOUT);
      lines.writeLine(JSON.writeValueAsString(request));
      return JSON.readValue(lines.readLine(), ControlReply.class);
    }
  }

  /**
   * The same to all of them; the sockets of agents that are no more are passed over, and one that
   * does not answer keeps nobody from being asked.
   *
   * @throws IOException if none answers and one should have
   */
  public static List<ControlReply> askAll(Path stateDirectory, String role, ControlRequest request)
      throws IOException {
    List<ControlReply> replies = new ArrayList<>();
    IOException mute = null;
    for (Path socket : sockets(stateDirectory, role)) {
      try {
        replies.add(ask(socket, request));
      } catch (ConnectException | NoSuchFileException e) {
        // That agent was killed: its socket goes when the next one starts.
      } catch (IOException e) {
        mute = e;
      }
    }
    if (replies.isEmpty() && mute != null) {
      throw mute;
    }
    return replies;
  }
}
