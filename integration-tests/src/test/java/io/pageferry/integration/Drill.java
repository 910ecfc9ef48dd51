package io.pageferry.integration;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * The random choices of a test, to be had again: {@code -Dpageferry.drill.seed=N} for the same
 * ones, {@code -Dpageferry.drill.NAME=N} for so many points.
 */
final class Drill {
  /** Something that is done again and again at those points. */
  interface Exercise {
    void run(Drill drill) throws Exception;
  }

  private static final String PREFIX = "pageferry.drill.";

  private final String name;
  private final long seed;
  private final int points;
  private final Random random;
  private final StringBuilder log = new StringBuilder();

  private Drill(String name, int usualPoints) {
    this.name = name;
    this.seed = Long.getLong(PREFIX + "seed", System.nanoTime() & 0xFF_FFFF);
    this.points = Integer.getInteger(PREFIX + name, usualPoints);
    this.random = new Random(seed);
  }

  /** Runs an exercise; if it fails, the failure says how to have the same again. */
  static void run(String name, int usualPoints, Exercise exercise) throws Exception {
    Drill drill = new Drill(name, usualPoints);
    try {
      exercise.run(drill);
    } catch (InterruptedException interrupted) {
      throw interrupted;
    } catch (Exception | AssertionError failure) {
      throw new AssertionError(
          "with -D%sseed=%d -D%s%s=%d, after%s: %s"
              .formatted(
                  PREFIX, drill.seed, PREFIX, name, drill.points, drill.log, failure.getMessage()),
          failure);
    }
  }

  /** How many points. */
  int points() {
    return points;
  }

  Random random() {
    return random;
  }

  /** Remembers what was done, for the message. */
  void note(String what) {
    log.append(' ').append(name).append(' ').append(what);
  }

  /**
   * Distances in bytes between points that lie anywhere within a length; each fourth is so short
   * that it ends while the connections are being made anew.
   */
  List<Long> distances(long length) {
    List<Long> places = new ArrayList<>();
    for (int point = 0; point < points; point++) {
      places.add((long) (random.nextDouble() * length));
    }
    Collections.sort(places);
    List<Long> distances = new ArrayList<>();
    long last = 0;
    for (int point = 0; point < points; point++) {
      long place = places.get(point);
      distances.add(point % 4 == 3 ? random.nextInt(20_000) : place - last);
      last = place;
    }
    return distances;
  }
}
