package io.pageferry.agent.copies;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.pageferry.agent.copies.GuestCopy.CopyFile;
import io.pageferry.agent.copies.GuestCopy.Place;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.linux.FileStatus;
import io.pageferry.guest.linux.LinuxFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The copies that this host keeps of guests that are elsewhere: images of guests that left, and
 * what had come of guests whose migration failed.
 *
 * <p>A copy is the image by another name beside it, so that no memory is doubled, no guest is ever
 * started from it by mistake, and the guest's name is free. A process that may still remove its
 * image by name keeps that name taken until it is gone ({@link #leave}). What is known of a copy is
 * a small file in {@code STATE/copies}, written before the other name and removed after the files:
 * whatever an agent that is killed leaves is found by it. Nothing relies on what a copy holds: when
 * its guest comes back each page is compared.
 *
 * <p>Both agents of a host use the same folder. Any thread; one operation at a time, also among
 * processes.
 */
public final class GuestCopies {
  private static final Logger LOG = LoggerFactory.getLogger(GuestCopies.class);
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String RECORD = ".json";
  private static final String DRAFT = ".tmp";
  private static final Object IN_THIS_PROCESS = new Object();

  private final Path folder;
  private final CopyLimits limits;
  private final Clock clock;

  /**
   * @param stateDirectory of this host's agents
   */
  public GuestCopies(Path stateDirectory, CopyLimits limits) {
    this(stateDirectory, limits, Clock.systemUTC());
  }

  GuestCopies(Path stateDirectory, CopyLimits limits, Clock clock) {
    this.folder = stateDirectory.resolve("copies");
    this.limits = limits;
    this.clock = clock;
  }

  /** Whether anything is kept here. */
  public boolean any() {
    return limits.any();
  }

  private interface Work<T> {
    T run() throws IOException;
  }

  /**
   * Keeps the image of a guest that does not run here any more, or never did; older copies give way
   * to it. The image's files have other names afterwards, and its locks stay.
   *
   * @param peer the other agent's name
   * @return empty if it is not kept: nothing is to be kept here, it is larger than the quota, or it
   *     is not in files that can be renamed; it is as it was then
   */
  public Optional<GuestCopy> keep(UUID migration, String guest, String peer, GuestImage image)
      throws IOException {
    return limits.any()
        ? locked(() -> keepLocked(migration, guest, peer, image, false))
        : Optional.empty();
  }

  /**
   * As {@link #keep}, for a guest whose process is still there: the image's files have their names
   * and a second one, and the copy counts from {@link #settle} on.
   */
  public Optional<GuestCopy> leave(UUID migration, String guest, String peer, GuestImage image)
      throws IOException {
    return limits.any()
        ? locked(() -> keepLocked(migration, guest, peer, image, true))
        : Optional.empty();
  }

  /**
   * The process of a guest that was leaving is gone: its image has no other name than the copy's
   * from now on. What has the image's name and is another file stays.
   *
   * @return empty if the copy has gone in the meantime; the image is as the guest left it then
   */
  public Optional<GuestCopy> settle(GuestCopy copy) throws IOException {
    return locked(
        () -> {
          for (CopyFile file : copy.files()) {
            if (!isSame(file, Path.of(file.copy()))) {
              remove(copy);
              return Optional.empty();
            }
          }
          if (!Files.exists(record(copy))) {
            return Optional.empty();
          }
          List<CopyFile> files = new ArrayList<>();
          for (CopyFile file : copy.files()) {
            Path image = Path.of(file.image());
            if (isSame(file, image)) {
              Files.delete(image);
            }
            files.add(file.modified(modifiedMicros(Path.of(file.copy()))));
          }
          GuestCopy left = copy.left(files);
          write(left);
          return Optional.of(left);
        });
  }

  /** There is to be no copy of a guest that was leaving; its image stays as it is. */
  public void drop(UUID migration) throws IOException {
    removeThose(copy -> copy.leaving() && copy.migration().equals(migration));
  }

  private Optional<GuestCopy> keepLocked(
      UUID migration, String guest, String peer, GuestImage image, boolean leaving)
      throws IOException {
    List<CopyFile> files = new ArrayList<>();
    long allocated = 0;
    for (ImageRegion region : image.regions()) {
      Path path = region.path().toAbsolutePath().normalize();
      if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
        return Optional.empty();
      }
      FileStatus status = status(path);
      if (!image.isRegion(region.index(), status.device(), status.inode())) {
        return Optional.empty();
      }
      allocated += status.allocatedBytes();
      Path copy = path.resolveSibling(path.getFileName() + ".copy-" + migration);
      files.add(
          new CopyFile(
              region.name(),
              path.toString(),
              copy.toString(),
              region.bytes(),
              status.device(),
              status.inode(),
              modifiedMicros(path)));
    }
    if (allocated > limits.quotaBytes()) {
      return Optional.empty();
    }
    makeRoom(allocated, files.stream().map(CopyFile::image).toList());
    long now = clock.millis();
    GuestCopy copy =
        new GuestCopy(
            migration,
            guest,
            peer,
            now,
            now + limits.keepFor().toMillis(),
            allocated,
            leaving,
            files);
    write(copy);
    if (leaving) {
      link(copy);
      return Optional.of(copy);
    }
    for (CopyFile file : files) {
      try {
        Files.move(Path.of(file.image()), Path.of(file.copy()));
      } catch (IOException e) {
        putBack(copy, e);
        throw e;
      }
    }
    return Optional.of(copy);
  }

  /**
   * Removes what has had its time, what another copy of the same guest replaces, and the oldest.
   */
  private void makeRoom(long bytes, List<String> images) throws IOException {
    long taken = 0;
    List<GuestCopy> others = new ArrayList<>();
    for (GuestCopy other : read()) {
      if (isOver(other) || other.wasAt(images)) {
        remove(other);
      } else {
        taken += other.allocatedBytes();
        others.add(other);
      }
    }
    for (GuestCopy oldest : others) {
      if (taken + bytes <= limits.quotaBytes()) {
        return;
      }
      remove(oldest);
      taken -= oldest.allocatedBytes();
    }
  }

  private void link(GuestCopy copy) throws IOException {
    try {
      for (CopyFile file : copy.files()) {
        Files.createLink(Path.of(file.copy()), Path.of(file.image()));
      }
    } catch (IOException | UnsupportedOperationException e) {
      remove(copy);
      throw e instanceof IOException io ? io : new IOException(e);
    }
  }

  private void putBack(GuestCopy copy, IOException cause) {
    try {
      for (CopyFile file : copy.files()) {
        if (isSame(file, Path.of(file.copy()))) {
          Files.move(Path.of(file.copy()), Path.of(file.image()));
        }
      }
      Files.deleteIfExists(record(copy));
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  /**
   * The copies that are there, the oldest first; none whose files are gone or were changed, or
   * whose guest is still leaving.
   */
  public List<GuestCopy> list() throws IOException {
    return Files.isDirectory(folder)
        ? locked(() -> read().stream().filter(copy -> !copy.leaving() && !isOver(copy)).toList())
        : List.of();
  }

  /**
   * The copy of a guest that is about to come.
   *
   * @param peer who brings it
   * @param places its memory as it is to be here
   * @return empty if there is none of just this memory, or it was exchanged with another agent
   */
  public Optional<GuestCopy> find(String guest, String peer, List<Place> places)
      throws IOException {
    return list().stream()
        .filter(copy -> copy.guest().equals(guest) && copy.peer().equals(peer))
        .filter(copy -> copy.fits(places))
        .reduce((older, younger) -> younger);
  }

  /**
   * Gives a copy its old names back; it is none any more.
   *
   * @return false if it is gone or was changed in the meantime, or the names are taken; it is
   *     removed then
   */
  public boolean giveBack(GuestCopy copy) throws IOException {
    return locked(
        () -> {
          if (!Files.exists(record(copy)) || isOver(copy)) {
            return false;
          }
          List<Path> named = new ArrayList<>();
          try {
            for (CopyFile file : copy.files()) {
              // Unlike renaming, this never replaces a file that is there.
              named.add(Files.createLink(Path.of(file.image()), Path.of(file.copy())));
            }
          } catch (IOException | UnsupportedOperationException e) {
            LOG.warn("the copy of guest {} cannot be used: {}", copy.guest(), e.toString());
            for (Path link : named) {
              Files.deleteIfExists(link);
            }
            remove(copy);
            return false;
          }
          for (CopyFile file : copy.files()) {
            Files.deleteIfExists(Path.of(file.copy()));
          }
          Files.deleteIfExists(record(copy));
          return true;
        });
  }

  /**
   * The files of a copy by device and number, as one word: they are known by it when they have
   * their old names again.
   */
  public static String identity(GuestCopy copy) {
    return String.join(
        ",", copy.files().stream().map(file -> file.device() + ":" + file.inode()).toList());
  }

  /** Whether a file is one of those of {@link #identity}. */
  public static boolean isOneOf(String identity, Path file) throws IOException {
    FileStatus status = status(file);
    return List.of(identity.split(",", -1)).contains(status.device() + ":" + status.inode());
  }

  /** Removes the copies of whatever was at these places: the guest is here again. */
  public void forget(List<String> images) throws IOException {
    List<String> places =
        images.stream().map(one -> Path.of(one).toAbsolutePath().normalize().toString()).toList();
    removeThose(copy -> copy.wasAt(places));
  }

  /**
   * Removes what has had its time, and what is left of copies whose files are gone.
   *
   * @return what was removed
   */
  public List<GuestCopy> removeOver() throws IOException {
    return removeThose(this::isOver);
  }

  private interface Choice {
    boolean falls(GuestCopy copy) throws IOException;
  }

  private List<GuestCopy> removeThose(Choice choice) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    return locked(
        () -> {
          List<GuestCopy> removed = new ArrayList<>();
          for (GuestCopy copy : read()) {
            if (choice.falls(copy)) {
              remove(copy);
              removed.add(copy);
            }
          }
          return removed;
        });
  }

  /**
   * Gives the memory of the oldest copy back, because a guest needs room.
   *
   * @return false if there is none
   */
  public boolean removeOldest() throws IOException {
    if (!Files.isDirectory(folder)) {
      return false;
    }
    return locked(
        () -> {
          List<GuestCopy> copies = read();
          if (copies.isEmpty()) {
            return false;
          }
          LOG.info("the copy of guest {} gives way", copies.getFirst().guest());
          remove(copies.getFirst());
          return true;
        });
  }

  private boolean isOver(GuestCopy copy) {
    return copy.untilMillis() <= clock.millis()
        || !copy.files().stream().allMatch(file -> isUnchanged(file, Path.of(file.copy())));
  }

  private static boolean isUnchanged(CopyFile file, Path path) {
    try {
      return isSame(file, path)
          && Files.size(path) == file.bytes()
          && modifiedMicros(path) == file.modifiedMicros();
    } catch (IOException e) {
      return false;
    }
  }

  /** Whether the file is the one that was kept, whatever is in it now. */
  private static boolean isSame(CopyFile file, Path path) throws IOException {
    if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
      return false;
    }
    FileStatus status = status(path);
    return status.device() == file.device() && status.inode() == file.inode();
  }

  private static FileStatus status(Path path) throws IOException {
    try (LinuxFile file = LinuxFile.openToRead(path)) {
      return file.status();
    }
  }

  private static long modifiedMicros(Path path) throws IOException {
    return Files.getLastModifiedTime(path, LinkOption.NOFOLLOW_LINKS).to(TimeUnit.MICROSECONDS);
  }

  /** The files first: a record without files is found and removed, files without one never. */
  private void remove(GuestCopy copy) throws IOException {
    for (CopyFile file : copy.files()) {
      Path path = Path.of(file.copy());
      if (isItsOwn(file, path)) {
        Files.deleteIfExists(path);
      }
    }
    Files.deleteIfExists(record(copy));
  }

  /** A file system may have another device number since the host was started anew. */
  private static boolean isItsOwn(CopyFile file, Path path) throws IOException {
    return Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)
        && status(path).inode() == file.inode()
        && Files.size(path) == file.bytes();
  }

  private Path record(GuestCopy copy) {
    return folder.resolve(copy.migration() + RECORD);
  }

  private List<GuestCopy> read() throws IOException {
    List<GuestCopy> copies = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        if (file.toString().endsWith(DRAFT)) {
          Files.deleteIfExists(file); // of an agent that was killed: we hold the lock
        } else if (file.toString().endsWith(RECORD)) {
          readRecord(file).ifPresent(copies::add);
        }
      }
    }
    copies.sort(Comparator.comparingLong(GuestCopy::madeMillis));
    return copies;
  }

  private static Optional<GuestCopy> readRecord(Path file) {
    try {
      return Optional.of(JSON.readValue(Files.readAllBytes(file), GuestCopy.class));
    } catch (IOException | RuntimeException e) {
      LOG.warn("what {} says of a copy cannot be read: {}", file, e.toString());
      return Optional.empty();
    }
  }

  private void write(GuestCopy copy) throws IOException {
    Path draft = folder.resolve(copy.migration() + DRAFT);
    try (FileChannel channel =
        FileChannel.open(
            draft,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      ByteBuffer bytes = ByteBuffer.wrap(JSON.writeValueAsBytes(copy));
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      channel.force(true);
    }
    Files.move(draft, record(copy), StandardCopyOption.ATOMIC_MOVE);
  }

  /** A cancelled migration has interrupted its thread, and a channel would be closed by that. */
  private <T> T locked(Work<T> work) throws IOException {
    boolean interrupted = Thread.interrupted();
    try {
      synchronized (IN_THIS_PROCESS) {
        makeFolder();
        try (FileChannel lock =
                FileChannel.open(
                    folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            var _ = lock.lock()) {
          return work.run();
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void makeFolder() throws IOException {
    if (!Files.isDirectory(folder)) {
      Files.createDirectories(
          folder,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }
  }
}
