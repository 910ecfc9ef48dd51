package io.pageferry.integration.bench;

import java.util.ArrayList;
import java.util.List;

/** What was measured so far, shown line by line as it comes. Not for several threads. */
final class Results {
  private final List<Figure> figures = new ArrayList<>();

  /** Keeps a figure and shows it. */
  void add(Figure figure) {
    addRow(figure.line(), List.of(figure));
  }

  /** Keeps figures that one row of a table shows. */
  void addRow(String row, List<Figure> shown) {
    figures.addAll(shown);
    say(row);
  }

  /** Shows a line. */
  void say(String line) {
    System.out.println(line);
  }

  List<Figure> figures() {
    return List.copyOf(figures);
  }
}
