package io.pageferry.integration.process;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Finds what a migration should have cleared away, each as a sentence. */
public final class Leftovers {
  private Leftovers() {}

  /**
   * What a migration that did not happen left on the target: images, guests that were launched,
   * their sockets.
   *
   * @param host the target
   * @param spec the guest that is not there
   * @throws IOException if the host's folders cannot be listed
   */
  public static List<String> onTarget(TargetHost host, GuestSpec spec) throws IOException {
    List<String> found = new ArrayList<>();
    for (Path image : spec.images(host.imageFolder())) {
      if (Files.exists(image)) {
        found.add("the target still has the image " + image);
      }
      for (ProcessTable.Entry process : ProcessTable.mentioning(image.toString())) {
        found.add("the target still runs a guest, process " + process.pid());
      }
    }
    if (Files.exists(host.qmp(spec))) {
      found.add("the target still has the socket " + host.qmp(spec));
    }
    filesIn(host.imageFolder(), spec.name())
        .forEach(file -> found.add("the target still has the file " + file));
    int descriptors = ProcessTable.descriptors(host.agent().pid(), "/" + spec.name() + ".");
    if (descriptors > 0) {
      found.add("the target agent still has " + descriptors + " files of the guest open");
    }
    return found;
  }

  /**
   * What a migration left on the source beside the guest, its socket, its image and the files that
   * the test itself wrote: tracking, sockets, locks, agents.
   *
   * @param host the source
   * @param guest the guest that stayed
   * @throws IOException if the host's folders cannot be listed
   */
  public static List<String> onSource(SourceHost host, DemoGuest guest) throws IOException {
    List<String> found = new ArrayList<>();
    int tracking = ProcessTable.descriptors(guest.process().pid(), "userfaultfd");
    if (tracking > 0) {
      found.add("the guest still has " + tracking + " userfaultfd open");
    }
    for (String socket : ProcessTable.unixSocketsBelow(host.folder())) {
      if (!socket.endsWith(".qmp")) {
        found.add("the source still has the socket " + socket);
      }
    }
    for (ProcessTable.Entry process :
        ProcessTable.mentioning(guest.spec().name() + ".yaml --to ")) {
      found.add("the source still runs an agent, process " + process.pid());
    }
    for (Path file : filesIn(host.imageFolder(), guest.spec().name())) {
      if (!guest.images().contains(file)) {
        found.add("the source still has the file " + file);
      }
    }
    return found;
  }

  private static List<Path> filesIn(Path folder, String guest) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.getFileName().toString().contains(guest)).toList();
    }
  }
}
