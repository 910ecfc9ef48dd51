package io.pageferry.target.content;

import io.pageferry.guest.image.ImageRegion;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which guests may find their content in which other ones' memory: each group has an index of its
 * own, so that nothing of another group is even looked up, and how long a search takes tells
 * nothing of it. What the hint files hold everybody may find.
 *
 * <p>Any thread; guarded by its own monitor.
 */
public final class SharedContents implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(SharedContents.class);

  /** 16 MiB, for 4 GiB of different content. */
  private static final int ENTRIES_OF_A_GROUP = 1 << 20;

  /** A sender beyond these shares nothing. */
  private static final int MAX_GROUPS = 16;

  private final Sharing sharing;
  private final HintFiles hints;
  private final Map<String, ContentIndex> groups = new HashMap<>();

  /**
   * @param files in which everybody's content may be; they are read from now on, in the background
   */
  public SharedContents(Sharing sharing, List<Path> files) {
    this.sharing = sharing;
    this.hints = HintFiles.read(files);
  }

  /**
   * A guest is arriving.
   *
   * @param sender the certificate name of the agent that sends it
   * @param regions its memory here, which is reserved
   */
  public synchronized GuestContents arriving(String sender, List<ImageRegion> regions)
      throws IOException {
    List<PageFile> files = new ArrayList<>();
    Set<Path> paths = regions.stream().map(ImageRegion::path).collect(Collectors.toSet());
    for (ImageRegion region : regions) {
      files.add(PageFile.at(region.path(), true));
    }
    // Who had these paths before is gone, whoever sent him.
    groups
        .values()
        .forEach(group -> group.removeIf(file -> paths.contains(file.path()) || !file.isThere()));
    groups.values().removeIf(ContentIndex::isEmpty);
    ContentIndex group = group(sender);
    if (!files.stream().allMatch(group::add)) {
      LOG.debug("too many files; what {} sends is not found by others", sender);
    }
    return new GuestContents(group, hints.index(), files);
  }

  private ContentIndex group(String sender) {
    if (sharing == Sharing.NONE) {
      return new ContentIndex(ENTRIES_OF_A_GROUP);
    }
    String name = sharing == Sharing.ALL ? "" : sender;
    ContentIndex group = groups.get(name);
    if (group == null) {
      group = new ContentIndex(ENTRIES_OF_A_GROUP);
      if (groups.size() < MAX_GROUPS) {
        groups.put(name, group);
      }
    }
    return group;
  }

  /** Ends the reading of the hint files. */
  @Override
  public void close() {
    hints.close();
  }
}
