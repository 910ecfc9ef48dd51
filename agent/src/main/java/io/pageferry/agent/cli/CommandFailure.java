package io.pageferry.agent.cli;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A command that ends with something else than success. Its message is the one sentence the user
 * sees: what happened, what state the guest is in, what to do. The causes are shown with {@code
 * --verbose} only.
 */
public final class CommandFailure extends Exception {
  private static final long serialVersionUID = 1L;

  private final ExitCode exit;

  public CommandFailure(ExitCode exit, String sentence) {
    this(exit, sentence, null);
  }

  public CommandFailure(ExitCode exit, String sentence, @Nullable Throwable cause) {
    super(sentence, cause);
    this.exit = exit;
  }

  public ExitCode exit() {
    return exit;
  }

  public String sentence() {
    return Objects.requireNonNull(getMessage());
  }
}
