package io.pageferry.integration;

import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.Surroundings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Has an agent wait at a moment of a migration until the test has done there what it wants to do,
 * however long that takes.
 */
final class Hold {
  private static final AtomicInteger HOLDS = new AtomicInteger();

  /** Longer than any test waits for anything. */
  private static final int LIMIT_MILLIS = 240_000;

  private final String phase;
  private final Path released;

  private Hold(String phase, Path released) {
    this.phase = phase;
    this.released = released;
  }

  /** A wait at that moment, as the agents call it. */
  static Hold at(String phase, Hosts hosts) {
    return new Hold(
        phase, hosts.workplace().folder().resolve("released-" + HOLDS.incrementAndGet()));
  }

  /** Where an agent runs that waits. */
  Surroundings surroundings() {
    return Surroundings.USUAL.with(
        "PAGEFERRY_HOLD", "%s:%d:%s".formatted(phase, LIMIT_MILLIS, released));
  }

  /** Returns when the agent is there. */
  void awaitReached(RunningProcess agent) throws Exception {
    agent.awaitLine(phase, line -> line.equals("holding at " + phase), Journey.LIMIT);
  }

  /** Lets the agent go on. */
  void release() throws IOException {
    Files.createFile(released);
  }
}
