package io.pageferry.integration.process;

import java.nio.file.Path;
import java.util.List;

/** A guest as it is started on both hosts, whatever runs it. */
public interface GuestSpec {
  /** Its name, also of its folders and description files. */
  String name();

  /** Its image files in a host's image folder, in region order. */
  List<Path> images(Path imageFolder);

  /** Where its QMP socket is in a host's folder. */
  default Path qmp(Path folder) {
    return folder.resolve(name() + ".qmp");
  }

  /**
   * The command that runs it.
   *
   * @param folder the host's folder for sockets
   * @param imageFolder the host's folder for images
   * @param incoming whether it waits for its state, as on the target
   */
  List<String> command(Path folder, Path imageFolder, boolean incoming);
}
