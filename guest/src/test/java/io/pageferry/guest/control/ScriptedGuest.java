package io.pageferry.guest.control;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** The guest's end of a real Unix socket, which says what a test wants said. */
final class ScriptedGuest implements AutoCloseable {
  static final String GREETING = "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n";

  /** What happens on the one connection. */
  interface Script {
    void run(ScriptedGuest guest) throws IOException, InterruptedException;
  }

  private final ServerSocketChannel server;
  private final Thread thread;
  private SocketChannel connection;
  private QmpLines lines;

  @SuppressWarnings("NullAway.Init") // the connection is made on the thread that uses it
  ScriptedGuest(Path socket, Script script) throws IOException {
    server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    server.bind(UnixDomainSocketAddress.of(socket));
    thread =
        Thread.ofPlatform()
            .daemon()
            .start(
                () -> {
                  try (SocketChannel accepted = server.accept()) {
                    connection = accepted;
                    lines = new QmpLines(accepted);
                    script.run(this);
                  } catch (IOException | InterruptedException e) {
                    // The test ended first, or looks at what its own side saw of it.
                  }
                });
  }

  void say(String text) throws IOException {
    say(text.getBytes(StandardCharsets.UTF_8));
  }

  void say(byte[] bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    while (buffer.hasRemaining()) {
      connection.write(buffer);
    }
  }

  /** The id of the next command, which must be {@code expected}. */
  long hear(String expected) throws IOException {
    return hearAll(expected).path("id").asLong();
  }

  /** The next command, which must be {@code expected}, with all that comes with it. */
  JsonNode hearAll(String expected) throws IOException {
    byte[] line = lines.next();
    if (line == null) {
      throw new IOException("the client closed");
    }
    var request = QmpJson.parse(line);
    if (!request.path("execute").asText().equals(expected)) {
      throw new IOException("expected " + expected + ", heard " + request);
    }
    return request;
  }

  void answer(long id, String result) throws IOException {
    say("{\"return\": " + result + ", \"id\": " + id + "}\r\n");
  }

  /** Greeting and negotiation. */
  void greet() throws IOException {
    say(GREETING);
    answer(hear("qmp_capabilities"), "{}");
  }

  /** Keeps the connection open until the client closes it. */
  void linger() throws IOException {
    byte[] line;
    do {
      line = lines.next();
    } while (line != null);
  }

  @Override
  public void close() throws IOException {
    server.close();
    thread.interrupt();
  }
}
