package io.pageferry.guest.demo;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.pageferry.guest.control.DeviceStateSocket;
import io.pageferry.guest.control.QmpJson;
import io.pageferry.guest.control.QmpLines;
import java.io.IOException;
import java.net.ConnectException;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.jspecify.annotations.Nullable;

/**
 * The guest's QMP socket: one connection at a time, as in QEMU; the next is served when the last
 * has closed. Nothing that arrives ends the guest.
 *
 * <p>Threading: {@link #serve} runs on its own thread; {@link #event} and {@link #close} may be
 * called by any.
 */
final class QmpServer implements AutoCloseable {
  private final Path path;
  private final ServerSocketChannel server;

  /** Guards {@link #current}, and keeps events and answers from mixing on the wire. */
  private final Object writeLock = new Object();

  private @Nullable SocketChannel current;
  private boolean negotiated;

  private QmpServer(Path path, ServerSocketChannel server) {
    this.path = path;
    this.server = server;
  }

  /**
   * Listens at {@code path}, in place of a socket that a dead guest left there.
   *
   * @throws IOException when another guest listens there, or something else is there
   */
  static QmpServer listen(Path path) throws IOException {
    clear(path);
    ServerSocketChannel server = DeviceStateSocket.listen(path);
    try {
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
      return new QmpServer(path, server);
    } catch (IOException | RuntimeException e) {
      server.close();
      throw e;
    }
  }

  /**
   * Removes a socket that a dead guest left at {@code path}.
   *
   * @throws IOException when another guest listens there, or something else is there
   */
  static void clear(Path path) throws IOException {
    if (Files.exists(path)) {
      if (Files.isRegularFile(path) || Files.isDirectory(path)) {
        throw new IOException(path + " is there already and is no socket");
      }
      if (answers(path)) {
        throw new IOException("another guest listens at " + path);
      }
      Files.delete(path);
    }
  }

  private static boolean answers(Path path) throws IOException {
    try {
      DeviceStateSocket.connect(path).close();
      return true;
    } catch (ConnectException e) {
      return false;
    }
  }

  /** Answers connections until {@link #close}, or until a command ends the guest. */
  void serve(QmpDialogue dialogue) throws InterruptedException {
    while (server.isOpen() && !dialogue.quitAsked()) {
      try (SocketChannel connection = server.accept()) {
        synchronized (writeLock) {
          current = connection;
          negotiated = false;
        }
        converse(connection, dialogue);
      } catch (IOException e) {
        // That client is gone or broke the line; the next one is served all the same.
        if (!server.isOpen()) {
          return;
        }
      } finally {
        synchronized (writeLock) {
          current = null;
        }
      }
    }
  }

  private void converse(SocketChannel connection, QmpDialogue dialogue)
      throws IOException, InterruptedException {
    write(connection, QmpJson.line(QmpDialogue.greeting()));
    QmpLines lines = new QmpLines(connection);
    boolean negotiating = true;
    while (!dialogue.quitAsked()) {
      byte[] line;
      try {
        line = lines.next();
      } catch (QmpLines.LineTooLongException e) {
        write(connection, QmpJson.line(QmpDialogue.error("GenericError", e.getMessage())));
        continue;
      }
      if (line == null) {
        return;
      }
      ObjectNode answer = dialogue.answer(line, negotiating);
      if (answer == null) {
        continue;
      }
      if (negotiating && answer.has("return")) {
        negotiating = false;
        synchronized (writeLock) {
          negotiated = true;
        }
      }
      write(connection, QmpJson.line(answer));
      if (dialogue.quitAsked()) {
        event("SHUTDOWN", QmpJson.object().put("guest", false).put("reason", "host-qmp-quit"));
      }
    }
  }

  /** Tells whoever is connected. */
  void event(String name, ObjectNode data) {
    ObjectNode event = QmpJson.object();
    long micros = GuestClock.now().wallMicros();
    event
        .putObject("timestamp")
        .put("seconds", micros / 1_000_000)
        .put("microseconds", micros % 1_000_000);
    event.put("event", name);
    if (!data.isEmpty()) {
      event.set("data", data);
    }
    SocketChannel listening;
    synchronized (writeLock) {
      listening = negotiated ? current : null;
    }
    if (listening != null) {
      try {
        write(listening, QmpJson.line(event));
      } catch (IOException e) {
        // The reading side of this connection finds out as well and ends it.
      }
    }
  }

  private void write(SocketChannel connection, byte[] line) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(line);
    synchronized (writeLock) {
      while (bytes.hasRemaining()) {
        connection.write(bytes);
      }
    }
  }

  @Override
  public void close() throws IOException {
    server.close();
    Files.deleteIfExists(path);
  }
}
