package io.pageferry.integration.bench;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** The values of repeated runs. Not for several threads. */
final class Series {
  private final List<Double> values = new ArrayList<>();

  void add(double value) {
    values.add(value);
  }

  int size() {
    return values.size();
  }

  /** The middle value, or the mean of the two middle ones. */
  double median() {
    if (values.isEmpty()) {
      throw new IllegalStateException("no run was measured");
    }
    List<Double> sorted = new ArrayList<>(values);
    Collections.sort(sorted);
    int middle = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(middle)
        : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
  }

  /** The one that was added last. */
  double last() {
    return values.getLast();
  }

  double max() {
    return Collections.max(values);
  }
}
