package io.pageferry.integration.bench;

import java.io.IOException;
import java.util.function.Predicate;

/** One of the things that {@code ./pageferry bench} measures. Closing ends what it started. */
interface Benchmark extends AutoCloseable {
  /**
   * Measures what is wanted and hands out each figure as soon as it is known.
   *
   * @param wanted whether the figure of this name is
   */
  void run(Predicate<String> wanted, Results results) throws IOException, InterruptedException;

  @Override
  void close();
}
