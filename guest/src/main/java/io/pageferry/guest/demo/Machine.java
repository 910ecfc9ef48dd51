package io.pageferry.guest.demo;

import io.pageferry.guest.control.DeviceStateSocket;
import io.pageferry.guest.control.GuestControl;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The guest as its QMP commands see it: a run state, a processor once there are registers, and at
 * most one migration at a time. Behaves as QEMU does where a user could tell.
 *
 * <p>Threading: any thread; the state is guarded by this object's lock, which no transfer and no
 * check of pages holds. Listeners are called without it.
 */
final class Machine {
  /** Where a migration stands; {@code status} is QMP's word. */
  record Migration(String status, Optional<String> error) {
    static final Migration NONE = new Migration("none", Optional.empty());
  }

  private final GuestMemory memory;
  private final GuestCounters counters = new GuestCounters();
  private final MachineListener listener;
  private final long checkRate;

  private RunState state;
  private @Nullable Vcpu vcpu;
  private Migration migration = Migration.NONE;
  private @Nullable Channel transfer;
  private boolean closed;

  /** A machine that waits for {@code migrate-incoming}. */
  Machine(GuestMemory memory, long checkRate, MachineListener listener) {
    this.memory = memory;
    this.checkRate = checkRate;
    this.listener = listener;
    this.state = RunState.INMIGRATE;
  }

  /** A machine with registers, which stands still until {@link #cont}. */
  Machine(
      GuestMemory memory,
      Registers registers,
      PageContent content,
      long checkRate,
      MachineListener listener) {
    this.memory = memory;
    this.checkRate = checkRate;
    this.listener = listener;
    this.state = RunState.PAUSED;
    this.vcpu = new Vcpu(memory, registers, content, counters, checkRate, false).start();
  }

  GuestMemory memory() {
    return memory;
  }

  GuestCounters counters() {
    return counters;
  }

  synchronized RunState state() {
    return vcpu != null && vcpu.broken() ? RunState.INTERNAL_ERROR : state;
  }

  synchronized Migration migration() {
    return migration;
  }

  /** Returns when no instruction runs any more. */
  void stop() throws InterruptedException {
    synchronized (this) {
      if (state != RunState.RUNNING || vcpu == null) {
        return;
      }
      vcpu.stop();
      state = RunState.PAUSED;
    }
    listener.stopped();
  }

  void cont() throws MachineException {
    synchronized (this) {
      switch (state()) {
        case RUNNING -> {
          return;
        }
        case INMIGRATE ->
            throw new MachineException("the guest waits for migrate-incoming and cannot run yet");
        case INTERNAL_ERROR -> throw new MachineException("the guest's processor has stopped");
        case FINISH_MIGRATE ->
            throw new MachineException("the guest's state is being saved; wait for its end");
        case PAUSED, POSTMIGRATE -> {
          if (vcpu == null || closed) {
            throw new MachineException("the guest has ended");
          }
          vcpu.cont();
          state = RunState.RUNNING;
        }
      }
    }
    listener.resumed();
  }

  /**
   * Begins to send the registers to whoever listens at {@code path}; stops the guest if need be.
   */
  void migrate(Path path) throws MachineException, InterruptedException {
    stop();
    RunState before;
    Vcpu saved;
    synchronized (this) {
      if (state == RunState.INMIGRATE || vcpu == null) {
        throw new MachineException("the guest is waiting for an incoming migration");
      }
      if (state() == RunState.INTERNAL_ERROR) {
        throw new MachineException("the guest's processor has stopped");
      }
      if (state == RunState.POSTMIGRATE) {
        throw new MachineException("the guest was paused by a migration that is done already");
      }
      if (transfer != null || state == RunState.FINISH_MIGRATE) {
        throw new MachineException("there is a migration under way already");
      }
      before = state;
      saved = vcpu;
      state = RunState.FINISH_MIGRATE;
      migration = new Migration("active", Optional.empty());
    }
    listener.migration("active");
    start("migrate", () -> send(saved, path), before);
  }

  private void send(Vcpu saved, Path path) throws IOException {
    ByteBuffer registers = saved.save();
    try (SocketChannel connection = DeviceStateSocket.connect(path)) {
      use(connection);
      DeviceStateSocket.send(connection, registers);
    }
    finish(RunState.POSTMIGRATE);
  }

  /** Begins to listen at {@code path} for registers; listens when this returns. */
  void migrateIncoming(Path path) throws MachineException {
    ServerSocketChannel server;
    synchronized (this) {
      if (state != RunState.INMIGRATE) {
        throw new MachineException("the guest was not started with --incoming, or has its state");
      }
      if (transfer != null) {
        throw new MachineException("there is a migration under way already");
      }
      try {
        server = DeviceStateSocket.listen(path);
      } catch (IOException | RuntimeException e) {
        throw new MachineException("cannot listen at " + path + ": " + e.getMessage(), e);
      }
      transfer = server;
      migration = new Migration("setup", Optional.empty());
    }
    listener.migration("setup");
    start("migrate-incoming", () -> receive(server, path), RunState.INMIGRATE);
  }

  private void receive(ServerSocketChannel server, Path path) throws IOException {
    byte[] registers;
    try (server) {
      registers = DeviceStateSocket.receive(server, GuestControl.MAX_DEVICE_STATE);
    } finally {
      Files.deleteIfExists(path);
    }
    Vcpu restored = Vcpu.restored(registers, memory, counters, checkRate);
    synchronized (this) {
      vcpu = restored;
    }
    restored.start();
    finish(RunState.PAUSED);
  }

  private interface Transfer {
    void run() throws IOException;
  }

  private void start(String name, Transfer work, RunState onFailure) {
    Thread.ofPlatform()
        .name(name)
        .daemon()
        .start(
            () -> {
              try {
                work.run();
              } catch (IOException | RuntimeException | OutOfMemoryError e) {
                fail(e, onFailure);
              }
            });
  }

  private synchronized void use(Channel channel) throws IOException {
    if (closed) {
      channel.close();
    }
    transfer = channel;
  }

  private void finish(RunState next) {
    synchronized (this) {
      transfer = null;
      state = next;
      migration = new Migration("completed", Optional.empty());
    }
    listener.migration("completed");
  }

  private void fail(Throwable cause, RunState next) {
    synchronized (this) {
      transfer = null;
      state = next;
      String message = cause.getMessage();
      migration =
          new Migration("failed", Optional.of(message == null ? cause.toString() : message));
    }
    listener.migration("failed");
  }

  /** Checks all pages now. */
  void checkAll() throws MachineException, InterruptedException {
    if (!processor("there is nothing to check").checkAll()) {
      throw new MachineException("the guest's processor stopped before all pages were checked");
    }
  }

  void resetLongestGap() throws MachineException {
    processor("there are no ticks").resetLongestGap();
  }

  private synchronized Vcpu processor(String what) throws MachineException {
    if (vcpu == null) {
      throw new MachineException(what + ": the guest waits for migrate-incoming");
    }
    return vcpu;
  }

  /**
   * Ends the processor; returns when it no longer touches the memory.
   *
   * @return false if it waits for a page, and will until the process ends
   */
  boolean end() throws IOException, InterruptedException {
    Vcpu ending;
    Channel cut;
    synchronized (this) {
      closed = true;
      ending = vcpu;
      cut = transfer;
    }
    if (cut != null) {
      cut.close();
    }
    return ending == null || ending.end();
  }
}
