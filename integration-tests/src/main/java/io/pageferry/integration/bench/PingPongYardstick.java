package io.pageferry.integration.bench;

import io.pageferry.integration.process.JavaCommand;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * Runs the {@link PagePingPong}: an answering process that stays, and one that asks for each run.
 */
final class PingPongYardstick {
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final int TIMES = 4000;

  private final Workplace workplace;
  private final int port;

  private PingPongYardstick(Workplace workplace, int port) {
    this.workplace = workplace;
    this.port = port;
  }

  static PingPongYardstick start(Workplace workplace) throws IOException, InterruptedException {
    RunningProcess answering =
        workplace.start(
            "ping-pong's answers", command(List.of("answer")), Terminal.DETACHED, Map.of());
    return new PingPongYardstick(workplace, (int) number(answering, "port "));
  }

  private static List<String> command(List<String> arguments) {
    return JavaCommand.of(PagePingPong.class.getName(), arguments);
  }

  private static long number(RunningProcess process, String word)
      throws IOException, InterruptedException {
    String line = process.awaitLine(word, text -> text.startsWith(word), LIMIT);
    return Long.parseLong(line.substring(word.length()));
  }

  /**
   * Asks some thousand times.
   *
   * @param pause before each question
   * @return the median of the times from question to answer, microseconds
   */
  double micros(Duration pause) throws IOException, InterruptedException {
    RunningProcess asking =
        workplace.start(
            "ping-pong's questions",
            command(
                List.of(
                    "ask",
                    Integer.toString(port),
                    Integer.toString(TIMES),
                    Long.toString(pause.toNanos() / 1000))),
            Terminal.DETACHED,
            Map.of());
    long nanos = number(asking, "nanos ");
    asking.awaitExit(LIMIT);
    return nanos / 1000.0;
  }
}
