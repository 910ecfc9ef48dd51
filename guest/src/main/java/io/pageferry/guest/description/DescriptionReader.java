package io.pageferry.guest.description;

import io.pageferry.guest.units.ByteSize;
import io.pageferry.guest.units.TimeSpan;
import io.pageferry.guest.units.UnitFormatException;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Makes a {@link GuestDescription} of its file; every complaint names file and line. */
final class DescriptionReader {
  private static final int PAGE = 4096;
  private static final int MAX_REGIONS = 64;
  private static final int MAX_COMMAND_WORDS = 1024;
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,63}");

  private static final List<String> GUEST_KEYS =
      List.of(
          "name",
          "memory",
          "control",
          "tracking",
          "attach",
          "handover",
          "launch",
          "log",
          "afterwards");
  private static final List<String> REGION_KEYS = List.of("name", "path", "size");
  private static final List<String> CONTROL_KEYS = List.of("qmp", "commands", "timeout");
  private static final List<String> COMMAND_KEYS =
      List.of("pause", "resume", "status", "save-state", "load-state", "quit", "timeout");

  private final Path file;
  private final Path folder;

  DescriptionReader(Path file) {
    this.file = file.toAbsolutePath().normalize();
    Path parent = this.file.getParent();
    this.folder = parent == null ? this.file : parent;
  }

  GuestDescription read() throws DescriptionException {
    YamlNode root = new YamlFile(file).read();
    if (!(root instanceof YamlNode.Mapping guest)) {
      throw fault(
          root, "a guest description is a mapping that begins with 'name:', not " + root.kind());
    }
    refuseUnknown(guest, GUEST_KEYS, "guest");
    String name = name(required(guest, "name", "guest"), "guest");
    YamlNode memoryNode = required(guest, "memory", "guest");
    List<MemoryDescription> memory = memory(memoryNode);
    ControlDescription control = control(required(guest, "control", "guest"));
    YamlNode tracking = optional(guest, "tracking");
    YamlNode attach = optional(guest, "attach");
    YamlNode handover = optional(guest, "handover");
    YamlNode launch = optional(guest, "launch");
    YamlNode log = optional(guest, "log");
    YamlNode afterwards = optional(guest, "afterwards");
    if (memory.getFirst().anonymous()) {
      requireHandover(memoryNode, memory.getFirst(), handover, tracking);
      if (attach != null) {
        throw fault(
            attach,
            "'attach' finds a guest by the file that it has as its memory, and there is none here");
      }
    }
    return new GuestDescription(
        file,
        name,
        memory,
        control,
        tracking == null ? Tracking.AUTO : choice(tracking, "tracking", Tracking.class),
        attach == null ? Attaching.AUTO : choice(attach, "attach", Attaching.class),
        handover == null ? Optional.empty() : Optional.of(socket(handover, "handover")),
        launch == null ? List.of() : command(launch, "launch"),
        log == null ? Optional.empty() : Optional.of(path(log, "log")),
        afterwards == null ? Afterwards.QUIT : choice(afterwards, "afterwards", Afterwards.class));
  }

  private List<MemoryDescription> memory(YamlNode node) throws DescriptionException {
    if (!(node instanceof YamlNode.Sequence sequence)) {
      throw fault(node, "'memory' is a list of regions, each with a path, not " + node.kind());
    }
    int count = sequence.items().size();
    if (count == 0 || count > MAX_REGIONS) {
      throw fault(node, "a guest has 1 to " + MAX_REGIONS + " memory regions, not " + count);
    }
    List<MemoryDescription> regions = new ArrayList<>();
    Set<String> names = new HashSet<>();
    Set<Path> paths = new HashSet<>();
    for (YamlNode item : sequence.items()) {
      if (!(item instanceof YamlNode.Mapping region)) {
        throw fault(item, "a memory region is a mapping with a path, not " + item.kind());
      }
      refuseUnknown(region, REGION_KEYS, "memory region");
      YamlNode nameNode = optional(region, "name");
      String name = nameNode == null ? "region" + regions.size() : name(nameNode, "memory region");
      if (!names.add(name)) {
        throw fault(item, "two memory regions are called '" + name + "'");
      }
      MemoryDescription described = region(region, name);
      if (!described.anonymous() && !paths.add(described.path())) {
        throw fault(item, "two memory regions have the path " + described.path());
      }
      if (!regions.isEmpty() && regions.getFirst().anonymous() != described.anonymous()) {
        throw fault(
            item,
            "either every memory region has a path or none has, but '"
                + (described.anonymous() ? regions.getFirst().name() : name)
                + "' has one and '"
                + (described.anonymous() ? name : regions.getFirst().name())
                + "' has none");
      }
      regions.add(described);
    }
    return regions;
  }

  private MemoryDescription region(YamlNode.Mapping region, String name)
      throws DescriptionException {
    YamlNode path = optional(region, "path");
    YamlNode size = optional(region, "size");
    if (path == null && size == null) {
      throw fault(
          region,
          "the memory region lacks 'path', or 'size' if its memory is in the guest's process only");
    }
    return new MemoryDescription(
        name,
        path == null ? Optional.empty() : Optional.of(path(path, "path")),
        size == null ? OptionalLong.empty() : OptionalLong.of(size(size)));
  }

  /** Memory that is in no file is reached by what the guest hands over, and in no other way. */
  private void requireHandover(
      YamlNode memory,
      MemoryDescription region,
      @Nullable YamlNode handover,
      @Nullable YamlNode tracking)
      throws DescriptionException {
    if (handover == null) {
      throw fault(
          memory,
          "memory region '"
              + region.name()
              + "' has no path, so its memory is in the guest's process only: say with 'handover:"
              + " PATH' at which socket the guest hands it over");
    }
    if (tracking != null) {
      throw fault(
          tracking,
          "'tracking' is for a guest that is moved away, and memory without a path can only be"
              + " received");
    }
  }

  private long size(YamlNode node) throws DescriptionException {
    long bytes;
    try {
      bytes = ByteSize.parse(text(node, "size"));
    } catch (UnitFormatException e) {
      throw fault(node, sentence(e));
    }
    if (bytes == 0 || bytes % PAGE != 0) {
      throw fault(
          node,
          "size "
              + text(node, "size")
              + " is "
              + bytes
              + " bytes, which is not a positive multiple of the page size 4096");
    }
    return bytes;
  }

  private ControlDescription control(YamlNode node) throws DescriptionException {
    if (!(node instanceof YamlNode.Mapping control)) {
      throw fault(node, "'control' is a mapping with the key qmp or commands, not " + node.kind());
    }
    refuseUnknown(control, CONTROL_KEYS, "control");
    YamlNode qmp = optional(control, "qmp");
    YamlNode commands = optional(control, "commands");
    YamlNode timeout = optional(control, "timeout");
    if (qmp != null && commands != null) {
      throw fault(commands, "a guest is controlled by 'qmp' or by 'commands', not by both");
    }
    if (commands != null) {
      return commands(commands, timeout);
    }
    if (qmp == null) {
      throw fault(control, "the control lacks 'qmp' or 'commands'");
    }
    return new ControlDescription.Qmp(
        socket(qmp, "qmp"),
        timeout == null ? ControlDescription.Qmp.DEFAULT_TIMEOUT : timeout(timeout));
  }

  private ControlDescription.Commands commands(YamlNode node, @Nullable YamlNode outer)
      throws DescriptionException {
    if (!(node instanceof YamlNode.Mapping commands)) {
      throw fault(
          node, "'commands' is a mapping with pause, resume, status and more, not " + node.kind());
    }
    refuseUnknown(commands, COMMAND_KEYS, "control by commands");
    YamlNode inner = optional(commands, "timeout");
    if (inner != null && outer != null) {
      throw fault(inner, "'timeout' is said for the control already");
    }
    YamlNode timeout = inner == null ? outer : inner;
    return new ControlDescription.Commands(
        command(required(commands, "pause", "control by commands"), "pause"),
        command(required(commands, "resume", "control by commands"), "resume"),
        command(required(commands, "status", "control by commands"), "status"),
        optionalCommand(commands, "save-state"),
        optionalCommand(commands, "load-state"),
        optionalCommand(commands, "quit"),
        timeout == null ? ControlDescription.Commands.DEFAULT_TIMEOUT : timeout(timeout));
  }

  private List<String> optionalCommand(YamlNode.Mapping commands, String key)
      throws DescriptionException {
    YamlNode node = optional(commands, key);
    return node == null ? List.of() : command(node, key);
  }

  private Duration timeout(YamlNode node) throws DescriptionException {
    Duration timeout;
    try {
      timeout = TimeSpan.parse(text(node, "timeout"));
    } catch (UnitFormatException e) {
      throw fault(node, sentence(e));
    }
    if (timeout.compareTo(Duration.ofMillis(10)) < 0
        || timeout.compareTo(Duration.ofHours(1)) > 0) {
      throw fault(node, "a timeout is 10ms to 1h, not " + text(node, "timeout"));
    }
    return timeout;
  }

  private List<String> command(YamlNode node, String key) throws DescriptionException {
    if (!(node instanceof YamlNode.Sequence sequence)) {
      throw fault(
          node, "'" + key + "' is a list, the program and then each argument, not " + node.kind());
    }
    int count = sequence.items().size();
    if (count == 0 || count > MAX_COMMAND_WORDS) {
      throw fault(node, "'" + key + "' has 1 to " + MAX_COMMAND_WORDS + " words, not " + count);
    }
    List<String> words = new ArrayList<>();
    for (YamlNode item : sequence.items()) {
      words.add(text(item, key));
    }
    String program = words.getFirst();
    if (program.isBlank()) {
      throw fault(node, "'" + key + "' names no program");
    }
    if (program.contains("/")) {
      words.set(0, path(sequence.items().getFirst(), key).toString());
    }
    return words;
  }

  private String name(YamlNode node, String of) throws DescriptionException {
    String name = text(node, "name");
    if (!NAME.matcher(name).matches()) {
      throw fault(
          node,
          "the name of a "
              + of
              + " is 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit; '"
              + name
              + "' is not");
    }
    return name;
  }

  private Path path(YamlNode node, String key) throws DescriptionException {
    String text = text(node, key);
    if (text.isBlank()) {
      throw fault(node, "'" + key + "' is an empty path");
    }
    try {
      return folder.resolve(text).normalize();
    } catch (InvalidPathException e) {
      throw fault(node, "'" + key + "' is not a path: " + e.getReason());
    }
  }

  private Path socket(YamlNode node, String key) throws DescriptionException {
    Path socket = path(node, key);
    int length = socket.toString().getBytes(StandardCharsets.UTF_8).length;
    if (length > ControlDescription.MAX_SOCKET_PATH) {
      throw fault(
          node,
          "the path of a Unix socket has at most "
              + ControlDescription.MAX_SOCKET_PATH
              + " bytes, "
              + socket
              + " has "
              + length);
    }
    return socket;
  }

  private <E extends Enum<E>> E choice(YamlNode node, String key, Class<E> type)
      throws DescriptionException {
    String text = text(node, key);
    List<String> known = new ArrayList<>();
    for (E value : type.getEnumConstants()) {
      String word = value.name().toLowerCase(Locale.ROOT);
      if (word.equals(text)) {
        return value;
      }
      known.add(word);
    }
    throw fault(
        node, "'" + key + "' is one of " + String.join(", ", known) + ", not '" + text + "'");
  }

  private String text(YamlNode node, String key) throws DescriptionException {
    if (node instanceof YamlNode.Scalar scalar && !scalar.isNull()) {
      return scalar.text();
    }
    throw fault(node, "'" + key + "' is a single value, not " + node.kind());
  }

  private void refuseUnknown(YamlNode.Mapping mapping, List<String> known, String of)
      throws DescriptionException {
    for (Map.Entry<String, YamlNode.Entry> entry : mapping.entries().entrySet()) {
      if (!known.contains(entry.getKey())) {
        throw new DescriptionException(
            file,
            entry.getValue().line(),
            "a "
                + of
                + " has no '"
                + entry.getKey()
                + "'; "
                + NearestWord.of(entry.getKey(), known)
                    .map(near -> "did you mean '" + near + "'?")
                    .orElse("it has " + String.join(", ", known)));
      }
    }
  }

  private YamlNode required(YamlNode.Mapping mapping, String key, String of)
      throws DescriptionException {
    YamlNode node = optional(mapping, key);
    if (node == null) {
      throw fault(mapping, "the " + of + " lacks '" + key + "'");
    }
    return node;
  }

  private static @Nullable YamlNode optional(YamlNode.Mapping mapping, String key) {
    YamlNode.Entry entry = mapping.entries().get(key);
    return entry == null ? null : entry.value();
  }

  private static String sentence(UnitFormatException e) {
    String message = e.getMessage();
    return message == null ? "unreadable value" : message;
  }

  private DescriptionException fault(YamlNode node, String sentence) {
    return new DescriptionException(file, node.line(), sentence);
  }
}
