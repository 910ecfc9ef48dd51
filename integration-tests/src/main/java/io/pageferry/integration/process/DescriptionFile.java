package io.pageferry.integration.process;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Writes guest descriptions as a user would, for both hosts. */
public final class DescriptionFile {
  private static final ObjectMapper QUOTING = new ObjectMapper();

  private final StringBuilder text = new StringBuilder();

  private DescriptionFile(String name) {
    line("name: " + quoted(name));
  }

  /**
   * The description a source agent moves a guest by.
   *
   * @param spec the guest
   * @param folder this host's folder for sockets
   * @param imageFolder this host's folder for images
   * @param tracking {@code handover}, {@code digest}, or null for what the agent finds
   */
  public static DescriptionFile ofSource(
      GuestSpec spec, Path folder, Path imageFolder, @Nullable String tracking) {
    DescriptionFile file = new DescriptionFile(spec.name());
    file.memory(spec.images(imageFolder));
    file.control(spec.qmp(folder));
    if (tracking != null) {
      file.line("tracking: " + tracking);
    }
    file.line("afterwards: quit");
    return file;
  }

  /**
   * The description a target agent receives a guest by: it starts the guest itself.
   *
   * @param spec the guest
   * @param folder this host's folder for sockets
   * @param imageFolder this host's folder for images
   */
  public static DescriptionFile ofTarget(GuestSpec spec, Path folder, Path imageFolder) {
    DescriptionFile file = new DescriptionFile(spec.name());
    file.memory(spec.images(imageFolder));
    file.control(spec.qmp(folder));
    file.launch(spec.command(folder, imageFolder, true));
    file.line("log: " + quoted(folder.resolve(spec.name() + ".log").toString()));
    return file;
  }

  private void memory(List<Path> images) {
    line("memory:");
    for (int region = 0; region < images.size(); region++) {
      line("  - name: ram" + region);
      line("    path: " + quoted(images.get(region).toString()));
    }
  }

  private void control(Path qmp) {
    line("control:");
    line("  qmp: " + quoted(qmp.toString()));
    line("  timeout: 10s");
  }

  private void launch(List<String> command) {
    line(
        command.stream()
            .map(DescriptionFile::quoted)
            .collect(Collectors.joining(", ", "launch: [", "]")));
  }

  private void line(String line) {
    text.append(line).append('\n');
  }

  /** A JSON string is a YAML scalar as well. */
  private static String quoted(String value) {
    try {
      return QUOTING.writeValueAsString(value);
    } catch (IOException impossible) {
      throw new IllegalArgumentException("cannot quote " + value, impossible);
    }
  }

  /** The YAML. */
  public String text() {
    return text.toString();
  }

  /**
   * Writes it.
   *
   * @return the file
   * @throws IOException if that fails
   */
  public Path writeTo(Path file) throws IOException {
    return Files.writeString(file, text);
  }
}
