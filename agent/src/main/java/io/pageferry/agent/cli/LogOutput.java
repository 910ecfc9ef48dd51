package io.pageferry.agent.cli;

import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.encoder.PatternLayoutEncoder;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.ConsoleAppender;
import java.nio.charset.StandardCharsets;
import org.slf4j.ILoggerFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Short log lines on standard error: {@code 11:30:00 source round 2: …}. */
public final class LogOutput {
  /** How much is said. */
  public enum Level {
    QUIET,
    NORMAL,
    VERBOSE
  }

  /**
   * Bouncy Castle tells every start of the security properties it found, through the JDK's logging.
   * Kept here because the JDK forgets the level of a logger that nobody holds.
   */
  private static final java.util.logging.Logger BOUNCY_CASTLE =
      java.util.logging.Logger.getLogger("org.bouncycastle");

  private LogOutput() {}

  /**
   * The logger of the migration's story: what an operator reads. Its lines carry the role and
   * nothing else, because the sentence says what they are about.
   */
  public static Logger story(String role) {
    return LoggerFactory.getLogger(role);
  }

  /** Replaces whatever was configured; called once by each command, before it does anything. */
  public static void configure(Level level) {
    BOUNCY_CASTLE.setLevel(java.util.logging.Level.SEVERE);
    ILoggerFactory factory = LoggerFactory.getILoggerFactory();
    if (!(factory instanceof LoggerContext context)) {
      return; // embedded with another logging library, which its owner configures
    }
    context.reset();
    PatternLayoutEncoder encoder = new PatternLayoutEncoder();
    encoder.setContext(context);
    encoder.setCharset(StandardCharsets.UTF_8);
    // An exception in a log line is one line: whole traces belong to --verbose.
    // A progress line may be standing where this one goes.
    String clear = ProgressLine.isTerminal() ? ProgressLine.CLEAR_LINE : "";
    encoder.setPattern(
        clear
            + (level == Level.VERBOSE
                ? "%d{HH:mm:ss.SSS} %-7logger{0} %msg%n%ex{8}"
                : "%d{HH:mm:ss} %-7logger{0} %msg%n%ex{0}"));
    encoder.start();
    ConsoleAppender<ILoggingEvent> console = new ConsoleAppender<>();
    console.setContext(context);
    console.setTarget("System.err");
    console.setEncoder(encoder);
    console.start();
    ch.qos.logback.classic.Logger root = context.getLogger(Logger.ROOT_LOGGER_NAME);
    // Libraries say what concerns their authors; only their warnings concern an operator.
    root.setLevel(ch.qos.logback.classic.Level.WARN);
    root.addAppender(console);
    for (String ours :
        new String[] {"io.pageferry", "source", "target", "guest", "demo", "bench"}) {
      context.getLogger(ours).setLevel(threshold(level));
    }
  }

  private static ch.qos.logback.classic.Level threshold(Level level) {
    return switch (level) {
      case QUIET -> ch.qos.logback.classic.Level.WARN;
      case NORMAL -> ch.qos.logback.classic.Level.INFO;
      case VERBOSE -> ch.qos.logback.classic.Level.DEBUG;
    };
  }
}
