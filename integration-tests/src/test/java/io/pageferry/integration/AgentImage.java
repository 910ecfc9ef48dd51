package io.pageferry.integration;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.testcontainers.images.builder.ImageFromDockerfile;

/**
 * An agent's image, made from {@code docker/ROLE-agent.Dockerfile} and what this test runs with.
 */
final class AgentImage {
  private static final Path CHECKOUT = Path.of("..").toAbsolutePath().normalize();

  private AgentImage() {}

  /**
   * Describes the image; it is built when a container wants it.
   *
   * @param role source or target
   * @param base an image with bash and a JRE
   * @param scratch a folder for jars
   */
  static ImageFromDockerfile of(String role, String base, Path scratch) throws IOException {
    ImageFromDockerfile image =
        new ImageFromDockerfile("pageferry/test-" + role, true)
            .withFileFromPath(
                "Dockerfile", CHECKOUT.resolve("docker/" + role + "-agent.Dockerfile"))
            .withFileFromPath("pageferry", CHECKOUT.resolve("pageferry"))
            .withFileFromString("VERSION", "test\n")
            .withFileFromPath(
                "lib/compiler-directives.json",
                CHECKOUT.resolve("agent/src/main/jvm/compiler-directives.json"))
            .withBuildArg("BASE_IMAGE", base);
    List<String> classPath =
        List.of(System.getProperty("java.class.path", "").split(File.pathSeparator));
    for (int place = 0; place < classPath.size(); place++) {
      Path entry = Path.of(classPath.get(place));
      // The order of the class path is the order of the names.
      String name = "lib/%03d-%s".formatted(place, entry.getFileName());
      if (Files.isDirectory(entry)) {
        image.withFileFromPath(name + ".jar", jarOf(entry, scratch.resolve(place + ".jar")));
      } else if (Files.exists(entry)) {
        image.withFileFromPath(name, entry);
      }
    }
    return image;
  }

  /**
   * A jar that, put before all others, makes an agent one of another time: it speaks the versions
   * 98 and 99 of the protocol.
   *
   * @param folder to be made, for the jar
   */
  static Path newer(Path folder) throws IOException {
    String name = "VersionRange.java";
    Path changed = Files.createDirectories(folder).resolve(name);
    Files.writeString(
        changed,
        Files.readString(
                CHECKOUT.resolve("protocol/src/main/java/io/pageferry/protocol/message/" + name))
            .replaceFirst("new VersionRange\\(\\d+, \\d+\\)", "new VersionRange(98, 99)"));
    Path classes = folder.resolve("classes");
    String[] options = {
      "-proc:none",
      "-implicit:none",
      "-cp",
      System.getProperty("java.class.path", ""),
      "-d",
      classes.toString(),
      changed.toString()
    };
    if (ToolProvider.getSystemJavaCompiler().run(null, null, null, options) != 0) {
      throw new IOException(changed + " does not compile");
    }
    return jarOf(classes, folder.resolve("newer.jar"));
  }

  private static Path jarOf(Path classes, Path jar) throws IOException {
    try (OutputStream out = Files.newOutputStream(jar);
        JarOutputStream entries = new JarOutputStream(out);
        Stream<Path> files = Files.walk(classes)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        entries.putNextEntry(new JarEntry(classes.relativize(file).toString()));
        Files.copy(file, entries);
        entries.closeEntry();
      }
    }
    return jar;
  }
}
