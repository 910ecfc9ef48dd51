package io.pageferry.guest.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A QMP connection (QEMU Machine Protocol, docs/interop/qmp-spec): JSON objects, one a line, over a
 * Unix socket.
 *
 * <p>Threading: any threads may call. Two threads of its own do all reading and writing, because an
 * interrupt closes the channel on which a thread reads or writes, and a driver that is cancelled in
 * the middle of a switchover still has to be able to say {@code cont}. For the same reason no call
 * here ends early on an interrupt; it waits for its answer, at most as long as its timeout, and
 * leaves the interrupt set.
 */
public final class QmpClient implements AutoCloseable {
  /** Events beyond this many that nobody asked for push out the oldest. */
  private static final int MAX_EVENTS = 256;

  private final Path socket;
  private final SocketChannel channel;
  private final CompletableFuture<JsonNode> greeting = new CompletableFuture<>();
  private final Map<Long, CompletableFuture<ObjectNode>> pending = new ConcurrentHashMap<>();
  private final LinkedBlockingQueue<Order> outbound = new LinkedBlockingQueue<>();
  private final AtomicLong nextId = new AtomicLong(1);
  private final Thread reader;
  private final Thread writer;

  /** Guards {@link #events} and {@link #failure}. */
  private final Object lock = new Object();

  private final Deque<QmpEvent> events = new ArrayDeque<>();
  private @Nullable GuestControlException failure;

  /** A line on its way out, known by itself and not by its bytes. */
  private static final class Order {
    final byte[] line;

    /** Whether the connection has taken any of it. */
    final CompletableFuture<Boolean> taken = new CompletableFuture<>();

    Order(byte[] line) {
      this.line = line;
    }
  }

  private QmpClient(Path socket) throws IOException {
    this.socket = socket;
    this.channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    this.reader = Thread.ofPlatform().name("qmp-reader").daemon().unstarted(this::read);
    this.writer = Thread.ofPlatform().name("qmp-writer").daemon().unstarted(this::write);
  }

  /**
   * Connects, reads the greeting and leaves negotiation mode.
   *
   * @param timeout for all of that
   */
  public static QmpClient connect(Path socket, Duration timeout) throws GuestControlException {
    QmpClient client;
    try {
      client = new QmpClient(socket);
    } catch (IOException e) {
      throw new GuestControlException("no Unix socket can be made", e);
    }
    boolean connected = false;
    try {
      client.reader.start();
      client.awaitGreeting(timeout);
      client.writer.start();
      client.execute("qmp_capabilities", QmpJson.object(), timeout);
      connected = true;
      return client;
    } finally {
      if (!connected) {
        client.close();
      }
    }
  }

  /** QEMU lets a second client connect, and greets it when the first one has gone. */
  private void awaitGreeting(Duration timeout) throws GuestControlException {
    try {
      await(greeting, "greet", timeout);
    } catch (GuestControlException e) {
      if (e.getCause() instanceof TimeoutException) {
        throw new GuestControlException(
            "nobody greets at the QMP socket %s within %d ms, because its guest hangs or has another"
                    .formatted(socket, timeout.toMillis())
                + " client, of which it serves one at a time: disconnect that one (libvirt, a"
                + " monitor, another agent), or give QEMU a second QMP socket and name that",
            e);
      }
      throw e;
    }
  }

  /**
   * Sends a command and waits for its answer.
   *
   * @return the answer's {@code return}
   * @throws QmpErrorException when the guest answers with an error
   * @throws GuestNotToldException when the connection is lost and the command never went out
   * @throws GuestControlException when it does not answer in time or the connection is lost;
   *     whether it carried the command out is unknown then
   */
  public JsonNode execute(String command, ObjectNode arguments, Duration timeout)
      throws GuestControlException {
    long id = nextId.getAndIncrement();
    ObjectNode request = QmpJson.object();
    request.put("execute", command);
    if (!arguments.isEmpty()) {
      request.set("arguments", arguments);
    }
    request.put("id", id);
    CompletableFuture<ObjectNode> answer = new CompletableFuture<>();
    pending.put(id, answer);
    try {
      GuestControlException lost = failure();
      if (lost != null) {
        throw new GuestNotToldException(sentence(lost), lost);
      }
      Order order = new Order(QmpJson.line(request));
      outbound.add(order);
      ObjectNode reply = answered(answer, order, command, timeout);
      JsonNode error = reply.get("error");
      if (error != null) {
        throw new QmpErrorException(
            command, error.path("class").asText("GenericError"), error.path("desc").asText("?"));
      }
      return reply.path("return");
    } finally {
      pending.remove(id);
    }
  }

  private ObjectNode answered(
      CompletableFuture<ObjectNode> answer, Order order, String command, Duration timeout)
      throws GuestControlException {
    try {
      return await(answer, command, timeout);
    } catch (GuestControlException e) {
      // What is still in the queue then will never leave it.
      if (outbound.remove(order) || (!isOpen() && !wentOut(order))) {
        throw new GuestNotToldException(sentence(e), e);
      }
      throw e;
    }
  }

  /** The writer knows at once: what it writes to is closed. */
  private static boolean wentOut(Order order) {
    return order.taken.completeOnTimeout(true, 1, TimeUnit.SECONDS).join();
  }

  /**
   * Takes the oldest event that matches out of the queue, waiting for it.
   *
   * @return empty when none came in time
   * @throws GuestControlException when the connection is lost
   */
  public Optional<QmpEvent> awaitEvent(Predicate<QmpEvent> wanted, Duration timeout)
      throws GuestControlException {
    long deadline = System.nanoTime() + timeout.toNanos();
    boolean interrupted = false;
    try {
      synchronized (lock) {
        while (true) {
          for (QmpEvent event : events) {
            if (wanted.test(event)) {
              events.remove(event);
              return Optional.of(event);
            }
          }
          if (failure != null) {
            throw again(failure);
          }
          long left = deadline - System.nanoTime();
          if (left <= 0) {
            return Optional.empty();
          }
          try {
            TimeUnit.NANOSECONDS.timedWait(lock, left);
          } catch (InterruptedException e) {
            interrupted = true;
          }
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Forgets the events that came so far. */
  public void clearEvents() {
    synchronized (lock) {
      events.clear();
    }
  }

  /** Whether commands can still be sent. */
  public boolean isOpen() {
    return failure() == null;
  }

  /** Whether somebody waits for an answer. */
  boolean isBusy() {
    return !pending.isEmpty();
  }

  @Override
  public void close() {
    fail(new GuestControlException("the QMP connection to " + socket + " was closed"));
  }

  private @Nullable GuestControlException failure() {
    synchronized (lock) {
      return failure;
    }
  }

  /** A new exception for the caller's own stack, with the first one's sentence. */
  private static GuestControlException again(GuestControlException first) {
    return new GuestControlException(sentence(first), first);
  }

  private static String sentence(GuestControlException first) {
    String message = first.getMessage();
    return message == null ? "the QMP connection is lost" : message;
  }

  private <T> T await(CompletableFuture<T> answer, String command, Duration timeout)
      throws GuestControlException {
    long deadline = System.nanoTime() + timeout.toNanos();
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return answer.get(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (TimeoutException e) {
          throw new GuestControlException(
              "the guest at "
                  + socket
                  + " did not answer '"
                  + command
                  + "' within "
                  + timeout.toMillis()
                  + " ms",
              e);
        } catch (ExecutionException e) {
          if (e.getCause() instanceof GuestControlException lost) {
            throw again(lost);
          }
          throw new GuestControlException("'" + command + "' failed", e);
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void read() {
    try {
      channel.connect(UnixDomainSocketAddress.of(socket));
    } catch (IOException | RuntimeException e) {
      fail(
          new GuestControlException(
              "no guest answers at the QMP socket " + socket + " (" + e.getMessage() + ")", e));
      return;
    }
    try {
      QmpLines lines = new QmpLines(channel);
      for (byte[] line = lines.next(); line != null; line = lines.next()) {
        if (!blank(line)) {
          dispatch(QmpJson.parse(line));
        }
      }
      fail(new GuestControlException("the guest at " + socket + " closed its QMP connection"));
    } catch (IOException e) {
      fail(
          new GuestControlException(
              "the QMP connection to " + socket + " broke: " + e.getMessage(), e));
    } catch (RuntimeException | StackOverflowError e) {
      // Whatever a hostile line provokes must not leave callers waiting for a dead thread.
      fail(new GuestControlException("what " + socket + " sent is not QMP", e));
    }
  }

  private void dispatch(ObjectNode message) throws IOException {
    if (message.has("QMP")) {
      greeting.complete(message);
    } else if (message.has("event")) {
      JsonNode data = message.get("data");
      synchronized (lock) {
        if (events.size() == MAX_EVENTS) {
          events.removeFirst();
        }
        events.add(
            new QmpEvent(message.path("event").asText(), data == null ? QmpJson.object() : data));
        lock.notifyAll();
      }
    } else if (message.has("return") || message.has("error")) {
      JsonNode id = message.get("id");
      CompletableFuture<ObjectNode> answer =
          id != null && id.isIntegralNumber() ? pending.remove(id.longValue()) : null;
      // An answer that nobody waits for any more came after its timeout.
      if (answer != null) {
        answer.complete(message);
      }
    } else {
      throw new IOException("a message that is neither answer nor event");
    }
  }

  private void write() {
    try {
      while (true) {
        write(outbound.take());
      }
    } catch (IOException e) {
      fail(
          new GuestControlException(
              "the QMP connection to " + socket + " broke: " + e.getMessage(), e));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // close() ends this thread that way
    }
  }

  private void write(Order order) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(order.line);
    try {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    } finally {
      order.taken.complete(bytes.position() > 0);
    }
  }

  private void fail(GuestControlException cause) {
    synchronized (lock) {
      if (failure == null) {
        failure = cause;
      }
      lock.notifyAll();
    }
    greeting.completeExceptionally(cause);
    pending.values().forEach(answer -> answer.completeExceptionally(cause));
    writer.interrupt();
    try {
      channel.close();
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  private static boolean blank(byte[] line) {
    for (byte b : line) {
      if (b != ' ' && b != '\r' && b != '\t') {
        return false;
      }
    }
    return true;
  }
}
