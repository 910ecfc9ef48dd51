package io.pageferry.guest.dirty;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.pageferry.guest.handover.GuestSideHandover;
import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.handover.MappedRegion;
import io.pageferry.guest.linux.LinuxFile;
import io.pageferry.guest.linux.MemoryMapping;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A guest for tests, a process of its own: maps the files that it is given and obeys one command a
 * line, each answered by one line.
 */
final class WriterMain {
  private final List<LinuxFile> files = new ArrayList<>();
  private final List<MemoryMapping> memory = new ArrayList<>();
  private volatile boolean hammering;
  private Thread hammer = new Thread(() -> {});
  private long written;

  private WriterMain() {}

  public static void main(String[] args) throws Exception {
    WriterMain writer = new WriterMain();
    for (String path : args) {
      LinuxFile file =
          path.startsWith("memfd:") ? LinuxFile.inMemory("guest") : LinuxFile.open(Path.of(path));
      if (path.startsWith("memfd:")) {
        file.setSize(Long.parseLong(path.substring("memfd:".length())));
      }
      writer.files.add(file);
      writer.memory.add(file.map(file.status().bytes(), true));
    }
    System.out.println("ready " + writer.files.getFirst().path());
    BufferedReader commands =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      System.out.println(writer.obey(line.split(" ", -1)));
    }
  }

  private String obey(String[] words) throws Exception {
    switch (words[0]) {
      case "write" -> {
        // region, page, value
        MemoryMapping region = memory.get(Integer.parseInt(words[1]));
        long page = Long.parseLong(words[2]);
        region.segment().set(JAVA_BYTE, page * 4096 + 100, Byte.parseByte(words[3]));
      }
      case "read" -> {
        MemoryMapping region = memory.get(Integer.parseInt(words[1]));
        return Byte.toString(
            region.segment().get(JAVA_BYTE, Long.parseLong(words[2]) * 4096 + 100));
      }
      case "forget" -> {
        // region, page, count: out of the page table, not out of the file
        memory
            .get(Integer.parseInt(words[1]))
            .forget(Long.parseLong(words[2]) * 4096, Long.parseLong(words[3]) * 4096);
      }
      case "punch" -> {
        files
            .get(Integer.parseInt(words[1]))
            .punch(Long.parseLong(words[2]) * 4096, Long.parseLong(words[3]) * 4096);
      }
      case "hammer" -> {
        hammering = true;
        long seed = Long.parseLong(words[1]);
        hammer = Thread.ofPlatform().daemon().start(() -> hammer(seed));
      }
      case "stop" -> {
        hammering = false;
        hammer.join();
        return Long.toString(written);
      }
      case "handover" -> {
        List<MappedRegion> regions = new ArrayList<>();
        long offset = 0;
        for (MemoryMapping one : memory) {
          regions.add(new MappedRegion(one.address(), one.bytes(), offset, 4096));
          offset += one.bytes();
        }
        var _ = GuestSideHandover.start(Path.of(words[1]), HandoverMode.valueOf(words[2]), regions);
      }
      default -> throw new IllegalArgumentException(words[0]);
    }
    return "done";
  }

  /** Writes words all over the memory, in bursts that sometimes go back to what was there. */
  private void hammer(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    while (hammering) {
      MemoryMapping region = memory.get(random.nextInt(memory.size()));
      long at = random.nextLong(region.bytes() / 8) * 8;
      long before = region.segment().get(JAVA_LONG_UNALIGNED, at);
      region.segment().set(JAVA_LONG_UNALIGNED, at, random.nextLong());
      if (random.nextInt(4) == 0) {
        region.segment().set(JAVA_LONG_UNALIGNED, at, before);
      }
      written++;
    }
  }
}
