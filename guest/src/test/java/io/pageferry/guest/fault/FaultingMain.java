package io.pageferry.guest.fault;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.pageferry.guest.handover.GuestSideHandover;
import io.pageferry.guest.handover.HandoverMessage;
import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.handover.MappedRegion;
import io.pageferry.guest.linux.LinuxFile;
import io.pageferry.guest.linux.UnixConnection;
import io.pageferry.guest.linux.Userfaultfd;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A guest for tests, a process of its own: maps memory and obeys commands, each on a thread of its
 * own, because it may have to wait for a page. A line is a number and a command; the answer is the
 * number and the result.
 *
 * <p>Memory is touched in foreign calls only: a thread that waits there does not keep the others
 * from a safepoint.
 */
final class FaultingMain {
  private static final int PAGE = 4096;
  private static final int PROT_READ_WRITE = 3;
  private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
  private static final int MAP_HUGETLB = 0x40000;
  private static final int MADV_DONTNEED = 4;
  private static final int MADV_REMOVE = 9;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final MethodHandle MEMCPY =
      LINKER.downcallHandle(
          LINKER.defaultLookup().findOrThrow("memcpy"),
          FunctionDescriptor.of(ADDRESS, ADDRESS, ADDRESS, JAVA_LONG));
  private static final MethodHandle MADVISE =
      LINKER.downcallHandle(
          LINKER.defaultLookup().findOrThrow("madvise"),
          FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
  private static final MethodHandle MMAP =
      LINKER.downcallHandle(
          LINKER.defaultLookup().findOrThrow("mmap"),
          FunctionDescriptor.of(
              JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));

  private static final MethodHandle MUNMAP =
      LINKER.downcallHandle(
          LINKER.defaultLookup().findOrThrow("munmap"),
          FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));

  /** What userfaultfd also tells, to who asks for it; no guest of ours does. */
  private static final long EVENT_UNMAP = 1 << 6;

  private static final int MAP_FIXED = 0x10;

  static final VarHandle PROGRESS = JAVA_LONG.varHandle();

  private final List<MappedRegion> regions = new ArrayList<>();
  private @Nullable GuestSideHandover handover;

  /** What must not be collected. */
  @SuppressWarnings("unused")
  private volatile List<AutoCloseable> kept = List.of();

  private FaultingMain() {}

  /** Arguments: {@code file:PATH}, {@code anonymous:BYTES} or {@code huge:BYTES}, one a region. */
  public static void main(String[] args) throws Throwable {
    FaultingMain guest = new FaultingMain();
    long offset = 0;
    for (String memory : args) {
      String what = memory.substring(memory.indexOf(':') + 1);
      long address;
      long bytes;
      int page = PAGE;
      if (memory.startsWith("file:")) {
        LinuxFile file = LinuxFile.open(Path.of(what));
        bytes = file.status().bytes();
        address = file.map(bytes, true).address();
      } else {
        bytes = Long.parseLong(what);
        boolean huge = memory.startsWith("huge:");
        page = huge ? 2 << 20 : PAGE;
        int flags = MAP_PRIVATE_ANONYMOUS | (huge ? MAP_HUGETLB : 0);
        address = (long) MMAP.invokeExact(0L, bytes, PROT_READ_WRITE, flags, -1, 0L);
      }
      guest.regions.add(new MappedRegion(address, bytes, offset, page));
      offset += bytes;
    }
    System.out.println("0 ready");
    BufferedReader commands =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      String[] words = line.split(" ", -1);
      Thread.ofPlatform()
          .daemon()
          .start(
              () -> {
                String result;
                try {
                  result = guest.obey(words);
                } catch (Throwable e) {
                  result = "failed: " + e;
                }
                System.out.println(words[0] + " " + result);
              });
    }
  }

  private String obey(String[] words) throws Throwable {
    switch (words[1]) {
      case "read" -> {
        return Long.toString(read(address(words)));
      }
      case "write" -> write(address(words), Long.parseLong(words[4]));
      case "remove" -> advise(words, MADV_REMOVE);
      case "forget" -> advise(words, MADV_DONTNEED);
      case "wrong" -> {
        // region, first page, count: how many pages do not say what PageRule says
        long wrong = 0;
        int region = Integer.parseInt(words[2]);
        long first = Long.parseLong(words[3]);
        for (long page = first; page < first + Long.parseLong(words[4]); page++) {
          long said = read(regions.get(region).baseHostVirtAddr() + page * PAGE);
          wrong += said == FaultingProcess.content(region, page) ? 0 : 1;
        }
        return Long.toString(wrong);
      }
      case "walk" -> {
        // region, first page, count, step
        long base = regions.get(Integer.parseInt(words[2])).baseHostVirtAddr();
        long end = Long.parseLong(words[3]) + Long.parseLong(words[4]);
        for (long page = Long.parseLong(words[3]); page < end; page += Long.parseLong(words[5])) {
          read(base + page * PAGE);
        }
      }
      case "race" -> {
        // region, advice, file: gives page by page back, says in the file which, and looks at it
        long found = 0;
        int region = Integer.parseInt(words[2]);
        MemorySegment progress = LinuxFile.open(Path.of(words[4])).map(8, true).segment();
        for (long page = 0; page < regions.get(region).size() / PAGE; page++) {
          PROGRESS.setVolatile(progress, 0L, page + 1);
          advise(
              new String[] {"", "", words[2], Long.toString(page), "1"},
              Integer.parseInt(words[3]));
          found += read(regions.get(region).baseHostVirtAddr() + page * PAGE) == 0 ? 0 : 1;
        }
        return Long.toString(found);
      }
      case "removeAndRead" -> {
        // region, page, advice: what is there right after the page was given back
        advise(new String[] {"", "", words[2], words[3], "1"}, Integer.parseInt(words[4]));
        return Long.toString(read(address(words)));
      }
      case "handover" -> handOver(Path.of(words[2]));
      case "handoverWithUnmap" -> handOverWithUnmap(Path.of(words[2]));
      case "unmap" -> {
        int result = (int) MUNMAP.invokeExact(address(words), Long.parseLong(words[4]) * PAGE);
        if (result != 0) {
          throw new IllegalStateException("munmap");
        }
      }
      case "mapAgain" -> {
        long at = address(words);
        int flags = MAP_PRIVATE_ANONYMOUS | MAP_FIXED;
        long bytes = Long.parseLong(words[4]) * PAGE;
        if ((long) MMAP.invokeExact(at, bytes, PROT_READ_WRITE, flags, -1, 0L) != at) {
          throw new IllegalStateException("mmap");
        }
      }
      default -> throw new IllegalArgumentException(words[1]);
    }
    return "done";
  }

  private synchronized void handOver(Path socket) throws Exception {
    if (handover == null) {
      handover = GuestSideHandover.start(socket, HandoverMode.MISSING, regions);
    } else {
      handover.again(socket);
    }
  }

  /** As a virtual machine monitor may that watches its memory more closely than we ask for. */
  private void handOverWithUnmap(Path socket) throws Exception {
    Userfaultfd userfaultfd = Userfaultfd.open();
    userfaultfd.enable(Userfaultfd.missingFeatures(false) | EVENT_UNMAP);
    for (MappedRegion region : regions) {
      userfaultfd.register(region.baseHostVirtAddr(), region.size(), Userfaultfd.Watch.MISSING);
    }
    UnixConnection connection = UnixConnection.connect(socket);
    connection.send(
        new HandoverMessage(regions).encode(),
        List.of(userfaultfd.descriptor()),
        Duration.ofSeconds(5));
    kept = List.of(userfaultfd, connection);
  }

  private long address(String[] words) {
    return regions.get(Integer.parseInt(words[2])).baseHostVirtAddr()
        + Long.parseLong(words[3]) * PAGE;
  }

  private static long read(long address) throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_LONG);
      var _ = (MemorySegment) MEMCPY.invokeExact(value, MemorySegment.ofAddress(address), 8L);
      return value.get(JAVA_LONG, 0);
    }
  }

  private static void write(long address, long value) throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment source = arena.allocateFrom(JAVA_LONG, value);
      var _ = (MemorySegment) MEMCPY.invokeExact(MemorySegment.ofAddress(address), source, 8L);
    }
  }

  private void advise(String[] words, int advice) throws Throwable {
    long bytes = Long.parseLong(words[4]) * PAGE;
    int result = (int) MADVISE.invokeExact(address(words), bytes, advice);
    if (result != 0) {
      throw new IllegalStateException("madvise");
    }
  }
}
