package io.pageferry.integration.process;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;

/**
 * Asks a guest over QMP, line by line. It is kept apart from the agents' own client on purpose:
 * what checks the agents must not share their mistakes.
 *
 * <p>Threads: one at a time.
 */
final class QmpQuestions implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path path;
  private final SocketChannel channel;
  private final Selector selector;
  private final long limitNanos;
  private final ByteBuffer received = ByteBuffer.allocate(64 * 1024).flip();
  private final ByteArrayOutputStream line = new ByteArrayOutputStream();

  private QmpQuestions(Path path, SocketChannel channel, Selector selector, Duration limit) {
    this.path = path;
    this.channel = channel;
    this.selector = selector;
    this.limitNanos = limit.toNanos();
  }

  /**
   * Connects and greets.
   *
   * @param path the guest's socket
   * @param limit how long each answer may take
   * @throws IOException if nothing answers there
   */
  static QmpQuestions open(Path path, Duration limit) throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    QmpQuestions questions = new QmpQuestions(path, channel, Selector.open(), limit);
    try {
      channel.connect(UnixDomainSocketAddress.of(path));
      channel.configureBlocking(false);
      channel.register(questions.selector, SelectionKey.OP_READ);
      JsonNode greeting = questions.nextLine();
      if (!greeting.has("QMP")) {
        throw new IOException(path + " greets with " + greeting + " and not as QMP does");
      }
      questions.ask("qmp_capabilities");
      return questions;
    } catch (IOException failure) {
      questions.close();
      throw failure;
    }
  }

  /** Sends a command and returns what it returned, events skipped. */
  JsonNode ask(String command) throws IOException {
    return ask(command, JSON.createObjectNode());
  }

  /** The same with arguments. */
  JsonNode ask(String command, ObjectNode arguments) throws IOException {
    ObjectNode line = JSON.createObjectNode().put("execute", command);
    if (!arguments.isEmpty()) {
      line.set("arguments", arguments);
    }
    ByteBuffer request = StandardCharsets.UTF_8.encode(line + "\r\n");
    while (request.hasRemaining()) {
      channel.write(request);
    }
    while (true) {
      JsonNode answer = nextLine();
      if (answer.has("return")) {
        return answer.get("return");
      }
      if (answer.has("error")) {
        throw new IOException(
            "the guest at " + path + " refuses " + command + ": " + answer.get("error"));
      }
    }
  }

  private JsonNode nextLine() throws IOException {
    long deadline = System.nanoTime() + limitNanos;
    while (true) {
      while (received.hasRemaining()) {
        byte next = received.get();
        if (next == '\n') {
          String text = line.toString(StandardCharsets.UTF_8).trim();
          line.reset();
          if (!text.isEmpty()) {
            return JSON.readTree(text);
          }
        } else {
          line.write(next);
        }
      }
      long millis = (deadline - System.nanoTime()) / 1_000_000;
      if (millis <= 0) {
        throw new IOException("the guest at " + path + " did not answer in time");
      }
      selector.select(millis);
      selector.selectedKeys().clear();
      received.clear();
      int count = channel.read(received);
      received.flip();
      if (count < 0) {
        throw new IOException("the guest at " + path + " hung up");
      }
    }
  }

  @Override
  public void close() {
    try {
      selector.close();
      channel.close();
    } catch (IOException ignored) {
      // Nothing is lost with a connection that was only asked questions.
    }
  }
}
