package io.pageferry.guest.description;

import java.util.List;
import java.util.Map;

/** A piece of a YAML file with the line where it begins, so that every complaint can name it. */
sealed interface YamlNode {
  int line();

  /** What it is, for a message. */
  String kind();

  /** Plain text as written, without quotes; the empty string for null. */
  record Scalar(int line, String text, boolean isNull) implements YamlNode {
    @Override
    public String kind() {
      return isNull ? "nothing" : "'" + text + "'";
    }
  }

  record Sequence(int line, List<YamlNode> items) implements YamlNode {
    @Override
    public String kind() {
      return "a list";
    }
  }

  /** Entries in the order of the file. */
  record Mapping(int line, Map<String, Entry> entries) implements YamlNode {
    @Override
    public String kind() {
      return "a mapping";
    }
  }

  /** A value and the line where its key stands. */
  record Entry(int line, YamlNode value) {}
}
