package io.pageferry.guest.control;

import io.pageferry.guest.description.ControlDescription;
import io.pageferry.guest.description.GuestDescription;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/** A guest that is controlled by the user's commands. */
final class CommandPlace implements GuestPlace {
  private static final Pattern PATH_SEPARATOR =
      Pattern.compile(File.pathSeparator, Pattern.LITERAL);

  private final String guest;
  private final Path folder;
  private final ControlDescription.Commands commands;
  private final Map<String, String> environment;

  CommandPlace(
      GuestDescription guest,
      ControlDescription.Commands commands,
      Map<String, String> environment) {
    this.guest = guest.name();
    this.folder = guest.folder();
    this.commands = commands;
    this.environment = Map.copyOf(environment);
  }

  @Override
  public GuestControl connect() {
    return connect(commands.timeout());
  }

  @Override
  public GuestControl connect(Duration limit) {
    return new CommandControl(guest, folder, commands, environment, limit);
  }

  @Override
  public boolean isTaken() throws GuestControlException {
    try (GuestControl control = connect()) {
      control.status();
      return true;
    } catch (GuestEndedException e) {
      return false;
    }
  }

  @Override
  public boolean isDeserted() {
    try {
      return !isTaken();
    } catch (GuestControlException e) {
      return false;
    }
  }

  @Override
  public String how() {
    return "by its command 'status'";
  }

  @Override
  public Optional<String> objectionToSend(boolean ended) {
    if (commands.saveState().isEmpty()) {
      return Optional.of("its control has no command 'save-state', so it can only be received");
    }
    if (ended && commands.quit().isEmpty()) {
      return Optional.of(
          "its control has no command 'quit' to end it with once it has moved: name one, or say"
              + " 'afterwards: keep'");
    }
    return notRunnable("save-state", commands.saveState())
        .or(() -> ended ? notRunnable("quit", commands.quit()) : Optional.empty())
        .or(this::commonNotRunnable);
  }

  @Override
  public Optional<String> objectionToReceive() {
    if (commands.loadState().isEmpty()) {
      return Optional.of("its control has no command 'load-state', so it cannot be received");
    }
    return notRunnable("load-state", commands.loadState()).or(this::commonNotRunnable);
  }

  private Optional<String> commonNotRunnable() {
    return notRunnable("pause", commands.pause())
        .or(() -> notRunnable("resume", commands.resume()))
        .or(() -> notRunnable("status", commands.status()));
  }

  /**
   * Said before anything has begun: found out when it counts, it would cost the guest its pause.
   */
  private static Optional<String> notRunnable(String name, List<String> words) {
    String program = words.getFirst();
    boolean found =
        program.contains("/")
            ? isProgram(Path.of(program))
            : PATH_SEPARATOR
                .splitAsStream(Optional.ofNullable(System.getenv("PATH")).orElse(""))
                .filter(entry -> !entry.isEmpty())
                .anyMatch(entry -> isProgram(Path.of(entry, program)));
    return found
        ? Optional.empty()
        : Optional.of(
            "its command '%s' cannot be run, because %s is no program here"
                .formatted(name, program));
  }

  private static boolean isProgram(Path file) {
    return Files.isRegularFile(file) && Files.isExecutable(file);
  }
}
