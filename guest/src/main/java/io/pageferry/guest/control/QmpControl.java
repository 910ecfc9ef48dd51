package io.pageferry.guest.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.pageferry.guest.handover.HandoverMode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Steers a guest by QMP: the demo guest, or QEMU with its memory in a shared file. QEMU must have
 * been started with {@code -S -incoming defer} on the target.
 *
 * <p>Device state goes through a private Unix socket with QEMU's {@code migrate} and {@code
 * migrate-incoming}; the capability {@code x-ignore-shared} keeps the memory out of it. The guest
 * is paused before it is told to save, so {@code pause-before-switchover} has nothing to do, and
 * {@code return-path} is off: the state is saved whole before any of it is loaded, so nobody is
 * there to answer on that path. What became of the load is asked on the loading side, and the
 * target agent tells the source agent; only then does the guest change hands. What the guest's user
 * has set for migrations of his own is set back when the guest is let go of ({@link
 * MigrationCapabilities}).
 */
public final class QmpControl implements GuestControl {
  private static final Logger LOG = LoggerFactory.getLogger(QmpControl.class);

  /**
   * How often the way to the guest and back is gone before it counts: what ran 200 times is
   * compiled.
   */
  private static final int REHEARSALS = 120;

  /** Whether that was done: it is this process that becomes quick, not a connection. */
  private static final AtomicBoolean WARM = new AtomicBoolean();

  /** How long to wait for an event before asking; a guest need not send events. */
  private static final Duration[] ASK_AGAIN = {
    Duration.ofMillis(2), Duration.ofMillis(10), Duration.ofMillis(50), Duration.ofMillis(200)
  };

  /** The capability of QEMU that keeps memory in shared files out of the device state. */
  static final String IGNORE_SHARED = "x-ignore-shared";

  private static final String COMPLETED = "completed";

  /** Whoever lets go of a guest that does not answer does not wait long to tidy up there. */
  private static final Duration PARTING = Duration.ofSeconds(2);

  private final Path socket;
  private final QmpClient client;
  private final Duration timeout;
  private final MigrationCapabilities capabilities;
  private @Nullable DeviceStateExchange exchange;

  /** Where the guest listens for its state. */
  private DeviceStateExchange.@Nullable Loading expecting;

  private QmpControl(Path socket, QmpClient client, Duration timeout) {
    this.socket = socket;
    this.client = client;
    this.timeout = timeout;
    this.capabilities = new MigrationCapabilities(socket, client, timeout);
  }

  /**
   * Connects.
   *
   * @param timeout for connecting, and afterwards for each call
   */
  public static QmpControl connect(Path socket, Duration timeout) throws GuestControlException {
    QmpControl control = new QmpControl(socket, QmpClient.connect(socket, timeout), timeout);
    boolean ready = false;
    try {
      control.capabilities.prepare();
      ready = true;
      return control;
    } finally {
      if (!ready) {
        control.close();
      }
    }
  }

  @Override
  public GuestStatus status() throws GuestControlException {
    JsonNode status = execute("query-status");
    return new GuestStatus(
        status.path("running").asBoolean(), status.path("status").asText("unknown"));
  }

  @Override
  public void pause() throws GuestControlException {
    // QEMU sends the event STOP before block I/O is drained; only the reply says that all is quiet.
    execute("stop");
  }

  @Override
  public void resume() throws GuestControlException {
    execute("cont");
  }

  @Override
  public void warmUp() throws GuestControlException {
    // Its folder is made now, and whether sockets can be had there is known before the pause.
    exchange().rehearse(timeout);
    DeviceStateRehearsal.run();
    if (WARM.get()) {
      return;
    }
    for (int i = 0; i < REHEARSALS; i++) {
      status();
      migration();
    }
    client.awaitEvent(QmpControl::endsMigration, Duration.ofNanos(1));
    WARM.set(true);
  }

  @Override
  public void saveDeviceState(Consumer<byte[]> early) throws GuestControlException {
    long deadline = System.nanoTime() + timeout.toNanos();
    client.clearEvents();
    try (DeviceStateExchange.Saving saving = exchange().startSaving()) {
      execute("migrate", saving.uri());
      early.accept(saving.await(left(deadline, "save its device state")));
      awaitMigration(deadline, "save its device state");
    }
  }

  @Override
  public void expectDeviceState() throws GuestControlException {
    client.clearEvents();
    DeviceStateExchange.Loading loading = exchange().startLoading();
    // It listens there from now on, and its socket goes with the folder.
    execute("migrate-incoming", loading.uri());
    expecting = loading;
  }

  @Override
  public void loadDeviceState(byte[] state) throws GuestControlException {
    if (state.length > MAX_DEVICE_STATE) {
      throw new GuestControlException(
          "device state of " + state.length + " bytes, more than " + MAX_DEVICE_STATE);
    }
    long deadline = System.nanoTime() + timeout.toNanos();
    if (expecting == null) {
      expectDeviceState();
    }
    try (DeviceStateExchange.Loading loading = Objects.requireNonNull(expecting)) {
      expecting = null;
      loading.send(state, left(deadline, "take its device state"));
      awaitMigration(deadline, "load its device state");
    }
  }

  @Override
  public void requestHandover(Path socket, HandoverMode mode) throws GuestControlException {
    ObjectNode arguments = QmpJson.object();
    arguments.put("path", socket.toAbsolutePath().toString());
    arguments.put("mode", mode.name().toLowerCase(Locale.ROOT).replace('_', '-'));
    client.execute("x-pageferry-handover", arguments, timeout);
  }

  @Override
  public void announce() {
    // QEMU's own defaults. It announces by itself when the device state is loaded, too: but then
    // the guest does not run here yet, and its first frames from there undo it.
    ObjectNode arguments = QmpJson.object();
    arguments.put("initial", 50).put("max", 550).put("rounds", 5).put("step", 100);
    try {
      client.execute("announce-self", arguments, timeout);
    } catch (GuestControlException e) {
      LOG.debug("announcing the guest", e);
    }
  }

  @Override
  public Optional<QemuMachine> machine() throws GuestControlException {
    return new QemuInquiry(client, timeout).ask();
  }

  @Override
  public Optional<GuestTicks> ticks() throws GuestControlException {
    return ask("x-pageferry-ticks", QmpJson.object(), timeout);
  }

  /** Like {@link #ticks}; afterwards the longest gap is measured anew. */
  public Optional<GuestTicks> ticksAndResetLongestGap() throws GuestControlException {
    ObjectNode arguments = QmpJson.object();
    arguments.put("reset-longest-gap", true);
    return ask("x-pageferry-ticks", arguments, timeout);
  }

  /**
   * Has the demo guest check every page of its memory now; empty for any other guest.
   *
   * @param limit how long that may take; about 0.3 s a GiB, and as long again when it runs
   */
  public Optional<GuestTicks> verify(Duration limit) throws GuestControlException {
    return ask("x-pageferry-verify", QmpJson.object(), limit);
  }

  @Override
  public boolean gone() {
    return !client.isOpen() && QmpSocket.isDeserted(socket);
  }

  @Override
  public void quit() throws GuestControlException {
    try {
      execute("quit");
      capabilities.forget();
    } catch (QmpErrorException e) {
      throw e;
    } catch (GuestControlException e) {
      // A guest that ends at once may take the connection with it before its answer is out.
      if (client.isOpen()) {
        throw e;
      }
    }
  }

  @Override
  public void close() {
    // Where a call still waits, it is made to fail at once.
    if (client.isOpen() && !client.isBusy()) {
      capabilities.restore(PARTING);
    }
    client.close();
    DeviceStateExchange made;
    synchronized (this) {
      made = exchange;
      exchange = null;
    }
    if (made != null) {
      made.close();
    }
  }

  private JsonNode execute(String command) throws GuestControlException {
    return client.execute(command, QmpJson.object(), timeout);
  }

  private void execute(String command, String uri) throws GuestControlException {
    ObjectNode arguments = QmpJson.object();
    arguments.put("uri", uri);
    client.execute(command, arguments, timeout);
  }

  private synchronized DeviceStateExchange exchange() throws GuestControlException {
    if (exchange == null) {
      exchange = DeviceStateExchange.open();
    }
    return exchange;
  }

  private JsonNode migration() throws GuestControlException {
    return execute("query-migrate");
  }

  private void awaitMigration(long deadline, String what) throws GuestControlException {
    for (int attempt = 0; ; attempt++) {
      Duration pause = ASK_AGAIN[Math.min(attempt, ASK_AGAIN.length - 1)];
      Duration left = left(deadline, what);
      Optional<QmpEvent> end =
          client.awaitEvent(QmpControl::endsMigration, pause.compareTo(left) < 0 ? pause : left);
      if (end.isPresent() && outcome(end.get()).equals(COMPLETED)) {
        return;
      }
      JsonNode migration = migration();
      switch (migration.path("status").asText("none")) {
        case COMPLETED -> {
          return;
        }
        case "failed", "cancelled", "cancelling" ->
            throw new GuestControlException(
                "the guest could not "
                    + what
                    + ": "
                    + migration.path("error-desc").asText("it does not say why"));
        default -> {}
      }
    }
  }

  private static boolean endsMigration(QmpEvent event) {
    return event.name().equals("MIGRATION")
        && (outcome(event).equals(COMPLETED) || outcome(event).equals("failed"));
  }

  private static String outcome(QmpEvent event) {
    return event.data().path("status").asText();
  }

  private Duration left(long deadline, String what) throws GuestControlException {
    long nanos = deadline - System.nanoTime();
    if (nanos <= 0) {
      throw new GuestControlException(
          "the guest did not " + what + " within " + timeout.toMillis() + " ms");
    }
    return Duration.ofNanos(nanos);
  }

  private Optional<GuestTicks> ask(String command, ObjectNode arguments, Duration limit)
      throws GuestControlException {
    JsonNode ticks;
    try {
      ticks = client.execute(command, arguments, limit);
    } catch (QmpErrorException e) {
      if (e.commandUnknown()) {
        return Optional.empty();
      }
      throw e;
    }
    JsonNode fault = ticks.path("firstFault");
    return Optional.of(
        new GuestTicks(
            ticks.path("running").asBoolean(),
            ticks.path("ticks").asLong(),
            ticks.path("handoverGapMicros").asLong(),
            ticks.path("longestGapMicros").asLong(),
            ticks.path("operations").asLong(),
            ticks.path("operationsPerSecond").asLong(),
            ticks.path("pagesChecked").asLong(),
            ticks.path("faultsFound").asLong(),
            fault.isTextual() ? Optional.of(fault.asText()) : Optional.empty(),
            ticks.path("pagesVerified").asLong()));
  }
}
