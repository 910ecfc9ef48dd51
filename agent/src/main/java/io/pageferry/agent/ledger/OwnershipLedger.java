package io.pageferry.agent.ledger;

import io.pageferry.agent.ledger.LedgerException.Problem;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Who owns one migrating guest, as far as this side knows: an append-only file {@code
 * STATE_DIR/{source,target}/UUID.ledger} that is on disk before anyone acts on it.
 *
 * <p>{@link #record} returns only when the state is on disk, and throws when that cannot be said;
 * then the caller must act as if either might be true. The file is filled with zeros when it is
 * made and opened with O_DSYNC, so a record overwrites blocks that already belong to the file and
 * the disk has nothing but the record itself to write: it lies in the guest's downtime.
 *
 * <p>At most one holder: the file is locked as long as this object is open, and the lock ends with
 * the process. Methods may be called from any thread; an interrupt does not disturb them.
 */
public final class OwnershipLedger implements AutoCloseable {

  private static final String SUFFIX = ".ledger";

  /**
   * Room for the records of one migration; a longer ledger grows, at the price of one more write.
   */
  private static final int PREALLOCATED = 16 * 1024;

  /** Settled ledgers of one side that are kept, to be looked up and to answer the other side. */
  static final int KEPT = 100;

  private static final int LOCK_ATTEMPTS = 10;
  private static final long LOCK_PAUSE_NANOS = 20_000_000;

  /** More than this was never written by us. */
  private static final int MAX_FILE = 4 * 1024 * 1024;

  /**
   * The ledgers this process holds. A POSIX lock ends as soon as the process closes <em>any</em>
   * descriptor of the file, so a held file must not be opened a second time, not even to read it.
   * Guarded by itself, which also keeps two threads from opening one file.
   */
  private static final Map<Path, OwnershipLedger> HELD = new HashMap<>();

  private final Path file;
  private final LedgerSide side;
  private final UUID migration;
  private final RandomAccessFile access;
  private LedgerContent content;
  private boolean closed;
  private boolean broken;

  private OwnershipLedger(
      Path file, LedgerSide side, UUID migration, RandomAccessFile access, LedgerContent content) {
    this.file = file;
    this.side = side;
    this.migration = migration;
    this.access = access;
    this.content = content;
  }

  /**
   * Begins the ledger of a new migration in the side's first state, on disk before it returns. Of
   * the earlier ones that are settled the newest {@value #KEPT} are kept.
   *
   * @throws LedgerException EXISTS if this migration has a ledger here already
   */
  public static OwnershipLedger create(
      Path stateDirectory, LedgerSide side, UUID migration, LedgerFields fields)
      throws LedgerException {
    Path file = file(stateDirectory, side, migration);
    // Filled and locked under another name first: a ledger is never seen empty or without its lock.
    Path draft = file.resolveSibling(migration + ".draft-" + ProcessHandle.current().pid());
    synchronized (HELD) {
      RandomAccessFile access = null;
      try {
        makePrivate(stateDirectory);
        makePrivate(draft.getParent() == null ? stateDirectory : draft.getParent());
        Files.deleteIfExists(draft);
        access = new RandomAccessFile(draft.toFile(), "rwd");
        Files.setPosixFilePermissions(draft, PosixFilePermissions.fromString("rw-------"));
        LedgerRecord first = new LedgerRecord(1, side.first(), now(), fields);
        byte[] line = first.encode();
        access.write(
            Arrays.copyOf(line, Math.max(PREALLOCATED, LedgerContent.paddedLength(line.length))));
        lock(access, file);
        Files.createLink(file, draft);
        Files.delete(draft);
        syncFolder(file);
        LedgerContent content =
            new LedgerContent(
                1,
                first.state(),
                first.time(),
                fields,
                LedgerContent.paddedLength(line.length),
                false);
        OwnershipLedger created = hold(new OwnershipLedger(file, side, migration, access, content));
        prune(stateDirectory, side);
        return created;
      } catch (FileAlreadyExistsException e) {
        closeQuietly(access);
        deleteQuietly(draft);
        throw new LedgerException(
            Problem.EXISTS,
            file,
            "migration " + migration + " already has a ledger here, " + file,
            e);
      } catch (LedgerException e) {
        closeQuietly(access);
        throw e;
      } catch (IOException e) {
        closeQuietly(access);
        deleteQuietly(draft);
        throw io(file, "cannot create the ledger " + file, e);
      }
    }
  }

  /**
   * Removes the oldest ledgers that ask nothing of anybody any more. Whatever is held, cannot be
   * read or is not settled stays, however old.
   */
  private static void prune(Path stateDirectory, LedgerSide side) {
    Path folder = side.folder(stateDirectory);
    try {
      if (migrations(folder).size() <= KEPT) {
        return;
      }
      removeOldest(folder.resolve("prune.lock"), stateDirectory, side);
    } catch (IOException e) {
      // Nothing depends on it, and the next migration tries again.
    }
  }

  private static void removeOldest(Path lock, Path stateDirectory, LedgerSide side)
      throws IOException {
    // One agent at a time: opening a ledger that another has just removed would make an empty one.
    try (RandomAccessFile alone = new RandomAccessFile(lock.toFile(), "rw")) {
      if (!tryLock(alone, false)) {
        return;
      }
      List<LedgerEntry> settled =
          list(stateDirectory, side).entries().stream()
              .filter(entry -> !entry.held() && entry.settled())
              .toList();
      for (LedgerEntry old : settled.subList(0, Math.max(0, settled.size() - KEPT))) {
        removeSettled(stateDirectory, old);
      }
    }
  }

  private static void removeSettled(Path stateDirectory, LedgerEntry old) {
    try (OwnershipLedger ledger = open(stateDirectory, old.side(), old.migration())) {
      // Looked at again now that nobody else can hold it.
      if (ledger.entry().settled()) {
        Files.deleteIfExists(ledger.file);
      }
    } catch (IOException e) {
      // Held by somebody who looks at it, or removed by another agent: neither is lost by waiting.
    }
  }

  /**
   * Takes hold of the ledger of an earlier agent, to recover.
   *
   * @throws LedgerException MISSING, HELD (its agent still runs), DAMAGED or IO
   */
  public static OwnershipLedger open(Path stateDirectory, LedgerSide side, UUID migration)
      throws LedgerException {
    Path file = file(stateDirectory, side, migration);
    synchronized (HELD) {
      if (HELD.containsKey(key(file))) {
        throw held(file, null);
      }
      if (!Files.exists(file)) {
        throw missing(file, migration, null);
      }
      RandomAccessFile access = null;
      try {
        access = new RandomAccessFile(file.toFile(), "rwd");
        lock(access, file);
        byte[] bytes = readAll(access, file);
        LedgerContent content = LedgerContent.parse(file, side, bytes);
        if (content.torn()) {
          // Its remains must not be taken for a record in the middle once another follows.
          access.seek(content.end());
          access.write(new byte[bytes.length - content.end()]);
        }
        return hold(new OwnershipLedger(file, side, migration, access, content));
      } catch (LedgerException e) {
        closeQuietly(access);
        throw e;
      } catch (IOException e) {
        closeQuietly(access);
        throw io(file, "cannot open the ledger " + file, e);
      }
    }
  }

  /** What one ledger says, held or not, without taking hold of it. */
  public static LedgerEntry read(Path stateDirectory, LedgerSide side, UUID migration)
      throws LedgerException {
    Path file = file(stateDirectory, side, migration);
    synchronized (HELD) {
      OwnershipLedger ours = HELD.get(key(file));
      if (ours != null) {
        return ours.entry();
      }
      // Only to be read: a mode that writes would make the file if it was removed meanwhile.
      try (RandomAccessFile access = new RandomAccessFile(file.toFile(), "r")) {
        boolean held = !isFree(access);
        LedgerContent content = LedgerContent.parse(file, side, readAll(access, file));
        return new LedgerEntry(
            file, side, migration, content.state(), content.since(), content.fields(), held);
      } catch (LedgerException e) {
        throw e;
      } catch (IOException e) {
        if (!Files.exists(file)) {
          throw missing(file, migration, e);
        }
        throw io(file, "cannot read the ledger " + file, e);
      }
    }
  }

  /** All ledgers of one side, oldest first; none if the folder does not exist. */
  public static LedgerListing list(Path stateDirectory, LedgerSide side) throws LedgerException {
    Path folder = side.folder(stateDirectory);
    List<LedgerEntry> entries = new ArrayList<>();
    List<LedgerException> unreadable = new ArrayList<>();
    for (UUID migration : migrations(folder)) {
      try {
        entries.add(read(stateDirectory, side, migration));
      } catch (LedgerException e) {
        if (e.problem() != Problem.MISSING) {
          unreadable.add(e);
        }
      }
    }
    entries.sort(Comparator.comparing(LedgerEntry::since));
    return new LedgerListing(entries, unreadable);
  }

  /**
   * Writes that the migration is now in this state; on disk when it returns.
   *
   * @throws LedgerException ILLEGAL_STEP if the present state does not lead there (nothing is
   *     written); IO if it may or may not be on disk
   */
  public void record(LedgerState state) throws LedgerException {
    record(state, null);
  }

  /** Writes a state and, before it in the same write, what else is new. */
  public synchronized void record(LedgerState state, @Nullable LedgerFields fields)
      throws LedgerException {
    if (!content.state().mayBecome(state, side)) {
      throw new LedgerException(
          Problem.ILLEGAL_STEP,
          file,
          "migration " + migration + " is " + content.state() + " and cannot become " + state,
          null);
    }
    append(state, fields);
  }

  /** Writes what else is new, in the present state. */
  public synchronized void update(LedgerFields fields) throws LedgerException {
    append(null, fields);
  }

  private void append(@Nullable LedgerState state, @Nullable LedgerFields fields)
      throws LedgerException {
    if (closed || broken) {
      throw new LedgerException(
          Problem.IO,
          file,
          "the ledger " + file + (closed ? " is closed" : " could not be written before"),
          null);
    }
    Instant time = now();
    long sequence = content.sequence();
    byte[] first = {};
    byte[] second = {};
    // The fields go into a record of their own, so that a change of state always fits in a sector.
    if (fields != null) {
      first = new LedgerRecord(++sequence, content.state(), time, fields).encode();
    }
    if (state != null) {
      second = new LedgerRecord(++sequence, state, time, null).encode();
    }
    int secondAt = LedgerContent.paddedLength(first.length);
    byte[] bytes = Arrays.copyOf(first, secondAt + LedgerContent.paddedLength(second.length));
    System.arraycopy(second, 0, bytes, secondAt, second.length);
    try {
      access.seek(content.end());
      access.write(bytes);
    } catch (IOException e) {
      // Nobody knows what of it is there; the next holder finds out by reading.
      broken = true;
      throw io(file, "cannot write to the ledger " + file, e);
    }
    content =
        new LedgerContent(
            sequence,
            state == null ? content.state() : state,
            state == null ? content.since() : time,
            fields == null ? content.fields() : fields,
            content.end() + bytes.length,
            false);
  }

  /** The last state that was written. */
  public synchronized LedgerState current() {
    return content.state();
  }

  public synchronized LedgerFields fields() {
    return content.fields();
  }

  public UUID migration() {
    return migration;
  }

  public LedgerSide side() {
    return side;
  }

  public Path file() {
    return file;
  }

  /** The agent's directory that this ledger lies below. */
  public Path stateDirectory() {
    Path folder = Objects.requireNonNull(file.getParent());
    return Objects.requireNonNull(folder.getParent());
  }

  private synchronized LedgerEntry entry() {
    return new LedgerEntry(
        file, side, migration, content.state(), content.since(), content.fields(), true);
  }

  /** Lets go of the ledger; the file stays. */
  @Override
  public void close() {
    synchronized (HELD) {
      synchronized (this) {
        if (!closed) {
          closed = true;
          HELD.remove(key(file));
          closeQuietly(access);
        }
      }
    }
  }

  private static OwnershipLedger hold(OwnershipLedger ledger) {
    HELD.put(key(ledger.file), ledger);
    return ledger;
  }

  private static Path file(Path stateDirectory, LedgerSide side, UUID migration) {
    return side.folder(stateDirectory.toAbsolutePath().normalize())
        .resolve(migration.toString().toLowerCase(Locale.ROOT) + SUFFIX);
  }

  /** The same for every way to write the same path, as far as the folder exists. */
  private static Path key(Path file) {
    Path folder = file.getParent();
    try {
      return folder == null ? file : folder.toRealPath().resolve(file.getFileName());
    } catch (IOException e) {
      return file;
    }
  }

  private static List<UUID> migrations(Path folder) throws LedgerException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(path -> path.getFileName().toString())
          .filter(name -> name.endsWith(SUFFIX))
          .map(name -> name.substring(0, name.length() - SUFFIX.length()))
          .flatMap(name -> uuid(name).stream())
          .toList();
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (IOException e) {
      throw io(folder, "cannot list the ledgers in " + folder, e);
    }
  }

  private static Optional<UUID> uuid(String name) {
    try {
      return Optional.of(UUID.fromString(name));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private static byte[] readAll(RandomAccessFile access, Path file) throws IOException {
    long length = access.length();
    if (length > MAX_FILE) {
      throw new LedgerException(
          Problem.DAMAGED, file, file + " is too large to be a ledger of ours", null);
    }
    byte[] bytes = new byte[(int) length];
    access.seek(0);
    access.readFully(bytes);
    return bytes;
  }

  /** Tries for a moment: somebody who only reads the ledger has its lock for as long as that. */
  private static void lock(RandomAccessFile access, Path file) throws IOException {
    for (int attempt = 0; !tryLock(access, false); attempt++) {
      if (attempt == LOCK_ATTEMPTS) {
        throw held(file, null);
      }
      LockSupport.parkNanos(LOCK_PAUSE_NANOS);
    }
  }

  /**
   * Whether nobody held it; it is not held afterwards either, because the caller closes it. Shared,
   * so that two who read at once do not take each other for its holder.
   */
  private static boolean isFree(RandomAccessFile access) throws IOException {
    return tryLock(access, true);
  }

  /** Held until the file is closed. */
  @SuppressWarnings("resource") // the lock is meant to outlive this method: it ends with the file
  private static boolean tryLock(RandomAccessFile access, boolean shared) throws IOException {
    try {
      return access.getChannel().tryLock(0, Long.MAX_VALUE, shared) != null;
    } catch (OverlappingFileLockException e) {
      return false;
    }
  }

  private static void makePrivate(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      Files.createDirectories(
          folder,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      syncFolder(folder);
    }
  }

  /** A new name is on disk only when its folder is. */
  private static void syncFolder(Path child) throws IOException {
    Path folder = child.toAbsolutePath().getParent();
    if (folder == null) {
      return;
    }
    // A channel is closed by a pending interrupt; a cancelled migration must still be written down.
    boolean interrupted = Thread.interrupted();
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static Instant now() {
    return Instant.now().truncatedTo(ChronoUnit.MICROS);
  }

  private static void closeQuietly(@Nullable RandomAccessFile access) {
    try {
      if (access != null) {
        access.close();
      }
    } catch (IOException e) {
      // Every write was on disk before it returned: closing has nothing left to lose.
    }
  }

  private static void deleteQuietly(Path draft) {
    try {
      Files.deleteIfExists(draft);
    } catch (IOException e) {
      // A leftover draft is never read; the failure that led here is what the user needs to know.
    }
  }

  private static LedgerException missing(Path file, UUID migration, @Nullable Throwable cause) {
    return new LedgerException(
        Problem.MISSING,
        file,
        "there is no ledger of migration " + migration + " here, " + file,
        cause);
  }

  private static LedgerException held(Path file, @Nullable Throwable cause) {
    return new LedgerException(
        Problem.HELD, file, "another agent is at work on this migration and holds " + file, cause);
  }

  private static LedgerException io(Path file, String what, IOException cause) {
    String why = cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
    return new LedgerException(Problem.IO, file, what + ": " + why, cause);
  }
}
