package io.pageferry.guest.control;

import io.pageferry.guest.description.ControlDescription;
import io.pageferry.guest.handover.HandoverMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Steers a guest by the commands that its description names: any hypervisor that can be paused and
 * can write down its devices without its memory.
 *
 * <p>A command that ends with exit code 0 has done what it is for; one that does not end in time is
 * killed with all that it started, and what it did until then is unknown. The device state is a
 * file in a folder of this user alone, named by {@link ControlDescription.Commands#STATE_FILE}, or
 * standard output and standard input of a command that does not mention it.
 */
final class CommandControl implements GuestControl {
  /** How often the way to a command and back is gone before it counts. */
  private static final int REHEARSALS = 3;

  /** What is written and read before it counts. */
  private static final int SCRATCH_BYTES = 4096;

  private static final String GUEST = "PAGEFERRY_GUEST";
  private static final String COMMAND = "PAGEFERRY_COMMAND";

  private final String guest;
  private final Path folder;
  private final ControlDescription.Commands commands;
  private final Map<String, String> environment;
  private final Duration timeout;

  /** Guards the next three. */
  private final Object lock = new Object();

  private @Nullable PrivateFolder scratch;
  private @Nullable CommandRun running;
  private boolean closed;

  private volatile boolean ended;

  /**
   * @param folder where the commands run
   * @param environment more variables for them
   * @param timeout of each
   */
  CommandControl(
      String guest,
      Path folder,
      ControlDescription.Commands commands,
      Map<String, String> environment,
      Duration timeout) {
    this.guest = guest;
    this.folder = folder;
    this.commands = commands;
    this.environment = environment;
    this.timeout = timeout;
  }

  @Override
  public GuestStatus status() throws GuestControlException {
    String said;
    try (CommandRun run = run("status", commands.status(), null, null)) {
      said = run.lastLine().toLowerCase(Locale.ROOT);
    }
    return switch (said) {
      case "running" -> new GuestStatus(true, said);
      case "paused", "waiting" -> new GuestStatus(false, said);
      case "ended" -> {
        ended = true;
        throw new GuestEndedException(
            "guest '%s' has ended, says its command 'status'".formatted(guest));
      }
      default ->
          throw new GuestControlException(
              "the command 'status' of guest '%s' said \"%s\", and not running, paused, waiting or"
                      .formatted(guest, said)
                  + " ended");
    };
  }

  @Override
  public void pause() throws GuestControlException {
    run("pause", commands.pause());
  }

  @Override
  public void resume() throws GuestControlException {
    run("resume", commands.resume());
  }

  @Override
  public void warmUp() throws GuestControlException {
    for (int i = 0; i < REHEARSALS; i++) {
      status();
    }
    Path state = stateFile();
    try {
      Files.write(state, new byte[SCRATCH_BYTES]);
      readState(state);
    } catch (IOException e) {
      throw new GuestControlException("no device state can be kept at " + state, e);
    } finally {
      CommandRun.delete(state);
    }
  }

  @Override
  public void saveDeviceState(Consumer<byte[]> early) throws GuestControlException {
    Path state = stateFile();
    boolean named = namesFile(commands.saveState());
    try (CommandRun _ =
        run("save-state", words(commands.saveState(), state), null, named ? null : state)) {
      early.accept(readState(state));
    } finally {
      CommandRun.delete(state);
    }
  }

  /** Its command is run when the state is there. */
  @Override
  public void expectDeviceState() {}

  private byte[] readState(Path state) throws GuestControlException {
    try {
      if (!Files.isRegularFile(state, LinkOption.NOFOLLOW_LINKS) || Files.size(state) == 0) {
        throw new GuestControlException(
            "the command 'save-state' of guest '%s' wrote no device state: it is to go to %s"
                .formatted(
                    guest,
                    namesFile(commands.saveState()) ? "the file {state}" : "standard output"));
      }
      if (Files.size(state) > MAX_DEVICE_STATE) {
        throw new GuestControlException(
            "the command 'save-state' of guest '%s' wrote %d MiB, and a device state has at most %d:"
                    .formatted(guest, Files.size(state) >> 20, MAX_DEVICE_STATE >> 20)
                + " leave the memory out of it");
      }
      return Files.readAllBytes(state);
    } catch (GuestControlException e) {
      throw e;
    } catch (IOException e) {
      throw new GuestControlException(
          "the device state of guest '%s' cannot be read: %s".formatted(guest, e.getMessage()), e);
    }
  }

  @Override
  public void loadDeviceState(byte[] bytes) throws GuestControlException {
    if (bytes.length > MAX_DEVICE_STATE) {
      throw new GuestControlException(
          "device state of " + bytes.length + " bytes, more than " + MAX_DEVICE_STATE);
    }
    Path state = stateFile();
    try {
      Files.write(state, bytes);
      boolean named = namesFile(commands.loadState());
      run("load-state", words(commands.loadState(), state), named ? null : state, null).close();
    } catch (GuestControlException e) {
      throw e;
    } catch (IOException e) {
      throw new GuestControlException(
          "the device state of guest '%s' cannot be written down: %s"
              .formatted(guest, e.getMessage()),
          e);
    } finally {
      CommandRun.delete(state);
    }
  }

  /** Such a guest has no command for that; it can be attached to. */
  @Override
  public void requestHandover(Path socket, HandoverMode mode) throws GuestControlException {
    throw new NoHandover(guest);
  }

  private static final class NoHandover extends GuestRefusedException {
    private static final long serialVersionUID = 1L;

    NoHandover(String guest) {
      super(
          "guest '%s' is controlled by commands and hands nothing over, so it has to be attached to,"
                  .formatted(guest)
              + " and its description says 'attach: never'");
    }

    @Override
    public boolean commandUnknown() {
      return true;
    }
  }

  /** The command that resumes it may do so. */
  @Override
  public void announce() {}

  @Override
  public Optional<QemuMachine> machine() {
    return Optional.empty();
  }

  @Override
  public Optional<GuestTicks> ticks() {
    return Optional.empty();
  }

  @Override
  public boolean gone() {
    return ended;
  }

  @Override
  public void quit() throws GuestControlException {
    run("quit", commands.quit());
  }

  @Override
  public void close() {
    CommandRun killed;
    PrivateFolder left;
    synchronized (lock) {
      closed = true;
      killed = running;
      left = killed == null ? scratch : null;
      if (killed == null) {
        scratch = null;
      }
    }
    if (killed != null) {
      // Whoever waits for it removes the folder.
      killed.kill();
    }
    if (left != null) {
      left.close();
    }
  }

  private static boolean namesFile(List<String> words) {
    return words.stream().anyMatch(word -> word.contains(ControlDescription.Commands.STATE_FILE));
  }

  private static List<String> words(List<String> words, Path state) {
    return words.stream()
        .map(word -> word.replace(ControlDescription.Commands.STATE_FILE, state.toString()))
        .toList();
  }

  private Path stateFile() throws GuestControlException {
    return scratch().resolve("state");
  }

  private PrivateFolder scratch() throws GuestControlException {
    synchronized (lock) {
      if (closed) {
        throw closedException();
      }
      if (scratch == null) {
        try {
          scratch = PrivateFolder.open();
        } catch (IOException e) {
          throw new GuestControlException("no private folder for the device state can be made", e);
        }
      }
      return scratch;
    }
  }

  private GuestControlException closedException() {
    return new GuestControlException("the control of guest '%s' was closed".formatted(guest));
  }

  private void run(String name, List<String> words) throws GuestControlException {
    run(name, words, null, null).close();
  }

  /**
   * Runs one command to its end.
   *
   * @param input what it reads; nothing for null
   * @param output where its standard output goes; null to have its last line only
   * @return with exit code 0, and to be closed
   */
  private CommandRun run(
      String name, List<String> words, @Nullable Path input, @Nullable Path output)
      throws GuestControlException {
    if (words.isEmpty()) {
      throw new GuestRefusedException(
          "the control of guest '%s' has no command '%s'".formatted(guest, name));
    }
    Map<String, String> variables = new HashMap<>(environment);
    variables.put(GUEST, guest);
    variables.put(COMMAND, name);
    PrivateFolder place = scratch();
    CommandRun run;
    synchronized (lock) {
      if (closed) {
        throw closedException();
      }
      run =
          CommandRun.start(
              "the command '%s' of guest '%s'".formatted(name, guest),
              words,
              folder,
              variables,
              place,
              input,
              output);
      running = run;
    }
    boolean done = false;
    try {
      run.await(timeout);
      done = true;
      return run;
    } finally {
      if (!done) {
        run.close();
      }
      PrivateFolder left = null;
      synchronized (lock) {
        running = null;
        if (closed) {
          left = scratch;
          scratch = null;
        }
      }
      if (left != null) {
        left.close();
      }
    }
  }
}
