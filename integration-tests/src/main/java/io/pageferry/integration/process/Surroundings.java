package io.pageferry.integration.process;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Where an agent's process runs, apart from its arguments.
 *
 * @param prefix what stands before its command, for example {@code ip netns exec NAME}
 * @param environment variables beyond this process's own
 */
public record Surroundings(List<String> prefix, Map<String, String> environment) {
  /**
   * As this process, and as the launcher starts an agent: one arena of malloc per core would count
   * as its memory.
   */
  public static final Surroundings USUAL =
      new Surroundings(List.of(), Map.of("MALLOC_ARENA_MAX", "2"));

  /** A defensive copy of both. */
  public Surroundings {
    prefix = List.copyOf(prefix);
    environment = Map.copyOf(environment);
  }

  /** The same in a network namespace. */
  public Surroundings inNetwork(String namespace) {
    return new Surroundings(List.of("ip", "netns", "exec", namespace), environment);
  }

  /** The same with a variable. */
  public Surroundings with(String variable, String value) {
    Map<String, String> more = new HashMap<>(environment);
    more.put(variable, value);
    return new Surroundings(prefix, more);
  }

  List<String> before(List<String> command) {
    List<String> all = new ArrayList<>(prefix);
    all.addAll(command);
    return all;
  }
}
