package io.pageferry.integration.bench;

import io.pageferry.integration.process.JavaCommand;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * Runs the {@link BareLoop}: a sink that stays, as the target agent does, and a source process for
 * each run.
 */
final class BareLoopYardstick {
  private static final Duration LIMIT = Duration.ofSeconds(60);

  private final Workplace workplace;
  private final int port;

  private BareLoopYardstick(Workplace workplace, int port) {
    this.workplace = workplace;
    this.port = port;
  }

  static BareLoopYardstick start(Workplace workplace) throws IOException, InterruptedException {
    Path landing = workplace.imageFolder().resolve("bare-loop");
    RunningProcess sink =
        workplace.start(
            "bare loop's sink",
            command(List.of("sink", landing.toString())),
            Terminal.DETACHED,
            Map.of());
    String line = sink.awaitLine("its port", text -> text.startsWith("port "), LIMIT);
    return new BareLoopYardstick(
        workplace, Integer.parseInt(line.substring(line.indexOf(' ') + 1)));
  }

  private static List<String> command(List<String> arguments) {
    return JavaCommand.of(BareLoop.class.getName(), arguments);
  }

  /**
   * Moves a file once.
   *
   * @return bytes a second
   */
  double run(Path image) throws IOException, InterruptedException {
    RunningProcess source =
        workplace.start(
            "bare loop's source",
            command(List.of("source", image.toString(), Integer.toString(port))),
            Terminal.DETACHED,
            Map.of());
    String line = source.awaitLine("its time", text -> text.startsWith("nanos "), LIMIT);
    source.awaitExit(LIMIT);
    return Files.size(image) * 1e9 / Long.parseLong(line.substring(line.indexOf(' ') + 1));
  }
}
