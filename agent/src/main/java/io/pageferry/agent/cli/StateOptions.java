package io.pageferry.agent.cli;

import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** {@code --state DIR}, a mixin of every command that reads or writes ledgers. */
public final class StateOptions {
  @Option(
      names = "--state",
      paramLabel = "DIR",
      description =
          "Where ledgers and control sockets live (default: $PAGEFERRY_STATE, else"
              + " /var/lib/pageferry for root and ~/.local/state/pageferry for others).")
  private @Nullable Path state;

  /** The state directory, absolute; it need not exist yet. */
  public Path directory() {
    Path chosen =
        state != null ? state : fallback(System.getenv(), System.getProperty("user.name"));
    return chosen.toAbsolutePath().normalize();
  }

  /**
   * What a command that is shown to the user needs so that it finds this directory when it is
   * pasted: a space and {@code --state DIR}, or nothing for the default.
   *
   * @param directory as {@link #directory} returned it
   */
  public static String argument(Path directory) {
    Path usual = fallback(System.getenv(), System.getProperty("user.name"));
    return directory.equals(usual.toAbsolutePath().normalize())
        ? ""
        : " --state " + quoted(directory.toString());
  }

  /** As a shell takes it; in double quotes, because the command is shown in single ones. */
  private static String quoted(String word) {
    return word.matches("[\\w@%+=:,./-]+")
        ? word
        : '"' + word.replaceAll("[\\\\\"$`]", "\\\\$0") + '"';
  }

  static Path fallback(Map<String, String> environment, String user) {
    String named = environment.get("PAGEFERRY_STATE");
    if (named != null && !named.isEmpty()) {
      return Path.of(named);
    }
    if (user.equals("root")) {
      return Path.of("/var/lib/pageferry");
    }
    String xdg = environment.get("XDG_STATE_HOME");
    // The XDG base directory specification: a relative path is to be ignored.
    if (xdg != null && xdg.startsWith("/")) {
      return Path.of(xdg, "pageferry");
    }
    return Path.of(environment.getOrDefault("HOME", "."), ".local/state/pageferry");
  }
}
