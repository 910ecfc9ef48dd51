package io.pageferry.guest.demo;

import io.pageferry.guest.units.BitRate;
import io.pageferry.guest.units.ByteSize;
import io.pageferry.guest.units.UnitFormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** The demo guest as a program: options, start, end. */
@Command(
    name = "guest",
    mixinStandardHelpOptions = true,
    versionProvider = DemoGuest.Version.class,
    sortOptions = false,
    description =
        "A guest to migrate: keeps its state in a mapped file, never stops writing to it, and checks"
            + " itself.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:ended by QMP quit, all pages were right",
      "1:it could not start",
      "2:wrong usage",
      "3:it found pages that were not what they had to be",
      "143:ended by SIGTERM"
    })
public final class DemoGuest implements Callable<Integer> {
  private static final int EXIT_FAULTS = 3;
  private static final long DEFAULT_MEMORY = 512L << 20;
  private static final long DEFAULT_WORKING_SET = 64L << 20;

  @Option(
      names = "--image",
      required = true,
      split = ",",
      paramLabel = "PATH",
      description =
          "The memory, one file a region (made if missing; with --incoming it must be there).")
  private List<Path> images = new ArrayList<>();

  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      description = "All regions together; default 512M, or what the files have with --incoming.")
  private @Nullable String memorySize;

  @Option(
      names = "--qmp",
      required = true,
      paramLabel = "SOCKET",
      description = "Where to answer QMP.")
  private @Nullable Path qmp;

  @Option(names = "--incoming", description = "Wait for migrate-incoming and cont.")
  private boolean incoming;

  @Option(names = "--paused", description = "Fill the memory and stand still until cont.")
  private boolean paused;

  @Option(
      names = "--pattern",
      paramLabel = "NAME",
      description = "uniform (default), hot-spot, sequential, mostly-zero, text or random.")
  private String pattern = "uniform";

  @Option(
      names = "--dirty-rate",
      paramLabel = "RATE",
      description = "Bytes of pages written a second, or max; default 20MB/s.")
  private String dirtyRate = "20MB/s";

  @Option(
      names = "--write-bytes",
      paramLabel = "SIZE",
      description = "How much of a page each write changes; default all of it.")
  private @Nullable String writeSize;

  @Option(
      names = "--working-set",
      paramLabel = "SIZE",
      description = "How much is written; default 64M, at most half of the memory.")
  private @Nullable String workingSet;

  @Option(
      names = "--check-rate",
      paramLabel = "RATE",
      description =
          "How much of all memory it reads a second to check it in passing; default 128MiB/s, 0 for"
              + " none.")
  private @Nullable String checkRate;

  @Option(names = "--seed", paramLabel = "N", description = "Decides all content; default 1.")
  private long seed = 1;

  @Option(
      names = "--regions",
      paramLabel = "N",
      description = "With one PATH: so many files, PATH.0, PATH.1, …")
  private int regionCount = 1;

  @Option(names = "--keep-image", description = "Leave the image when the guest ends.")
  private boolean keepImage;

  @Option(
      names = "--remove-image",
      description = "Remove the image when the guest ends, even if it was there before.")
  private boolean removeImage;

  @CommandLine.Spec private CommandLine.Model.@Nullable CommandSpec spec;

  private final Object ending = new Object();
  private boolean ended;
  private @Nullable GuestMemory mapped;
  private @Nullable Running running;

  private DemoGuest() {}

  /** What there is to take down. */
  private record Running(
      GuestMemory memory, Machine machine, MemoryHandover handover, QmpServer server) {}

  /** Runs a guest until it is told to end. */
  public static void main(String[] arguments) {
    System.exit(new CommandLine(new DemoGuest()).execute(arguments));
  }

  @Override
  public Integer call() throws InterruptedException {
    try {
      return run();
    } catch (IOException e) {
      System.err.println("guest: " + e.getMessage());
      return CommandLine.ExitCode.SOFTWARE;
    }
  }

  private int run() throws IOException, InterruptedException {
    List<Path> paths = regionPaths();
    long bytes = memoryBytes(paths);
    PagePattern chosen = chosenPattern();
    long rate = rate();
    long checked = checkRate == null ? Vcpu.CHECK_RATE : rate("--check-rate", checkRate);
    long setBytes =
        workingSet == null
            ? Math.min(DEFAULT_WORKING_SET, bytes / 2)
            : size("--working-set", workingSet);
    long written = writeSize == null ? PageFormat.BODY_BYTES : size("--write-bytes", writeSize);
    if (written < 1) {
      throw wrong("--write-bytes takes 1 or more");
    }
    Path socket = Objects.requireNonNull(qmp).toAbsolutePath();
    // Before anything else: who starts a guest twice must not have the first one's memory emptied.
    QmpServer.clear(socket);
    Runtime.getRuntime().addShutdownHook(new Thread(this::endBySignal, "ending"));
    GuestMemory memory =
        incoming ? GuestMemory.open(paths, bytes) : GuestMemory.create(paths, bytes);
    synchronized (ending) {
      mapped = memory;
    }
    MachineEvents events = new MachineEvents();
    Machine machine;
    MemoryHandover handover = new MemoryHandover(memory);
    QmpServer server;
    try {
      PageContent content = new PageContent(seed);
      if (incoming) {
        Rehearsal.run(PagePattern.values(), content, seed);
        machine = new Machine(memory, checked, events);
      } else {
        WorkingSet set = new WorkingSet(memory, setBytes / PageFormat.BYTES);
        Registers registers =
            new Registers(seed, chosen, rate, set, (int) Math.min(written, PageFormat.BODY_BYTES));
        long begin = System.nanoTime();
        new MemoryFill(memory, registers, content)
            .run(Math.min(4, Runtime.getRuntime().availableProcessors()));
        say(
            String.format(
                Locale.ROOT,
                "filled %s in %.2f s, pattern %s, writes %s to %s",
                ByteSize.format(bytes),
                (double) (System.nanoTime() - begin) / 1e9,
                chosen.word(),
                rate == Long.MAX_VALUE ? "as fast as it can" : BitRate.format(rate),
                ByteSize.format(set.pages() * PageFormat.BYTES)));
        Rehearsal.run(new PagePattern[] {chosen}, content, seed);
        machine = new Machine(memory, registers, content, checked, events);
      }
      server = QmpServer.listen(socket);
    } catch (IOException | RuntimeException | InterruptedException e) {
      removeImages(memory);
      throw e;
    }
    events.to(server);
    Running all = new Running(memory, machine, handover, server);
    synchronized (ending) {
      if (ended) {
        server.close(); // a signal came while it was made
      }
      running = all;
    }
    QmpDialogue dialogue = new QmpDialogue(machine, handover);
    if (!incoming && !paused) {
      start(machine);
    }
    say(
        String.format(
            Locale.ROOT,
            "%s, answers QMP at %s",
            incoming ? "waits for its state" : "ready",
            socket));
    server.serve(dialogue);
    end(all);
    return summary(all.machine().counters());
  }

  private static void start(Machine machine) {
    try {
      machine.cont();
    } catch (MachineException e) {
      throw new IllegalStateException("a new machine can run", e);
    }
  }

  private void endBySignal() {
    Running all;
    synchronized (ending) {
      all = running;
      if (ended) {
        return;
      }
      if (all == null) {
        ended = true;
        removeImages(mapped);
        return;
      }
    }
    end(all);
    if (summary(all.machine().counters()) != 0) {
      // Nothing else is left to do in this process, and 143 would hide the faults.
      Runtime.getRuntime().halt(EXIT_FAULTS);
    }
  }

  /** Stops the guest and removes what it made; a second call waits for the first. */
  private void end(Running all) {
    synchronized (ending) {
      if (ended) {
        return;
      }
      ended = true;
      try {
        boolean still = all.machine().end();
        all.server().close();
        if (still) {
          all.handover().close();
        } // else unregistering would let the processor go on, with zeros for the page it waits for
        removeImages(all.memory());
      } catch (IOException e) {
        System.err.println("guest: " + e.getMessage());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void removeImages(@Nullable GuestMemory memory) {
    if (memory == null) {
      return;
    }
    try {
      if (removeImage) {
        memory.deleteAll();
      } else if (!keepImage) {
        memory.deleteCreated();
      }
      memory.close();
    } catch (IOException e) {
      System.err.println("guest: " + e.getMessage());
    }
  }

  private static int summary(GuestCounters counters) {
    say(
        String.format(
            Locale.ROOT,
            "%d ticks, %d writes, %d pages checked, longest gap %.1f ms, %d faults%s",
            counters.ticks(),
            counters.writes(),
            counters.pagesChecked(),
            (double) counters.longestGapMicros() / 1000,
            counters.faults(),
            counters.firstFault() == null ? "" : "; the first: " + counters.firstFault()));
    return counters.faults() == 0 ? 0 : EXIT_FAULTS;
  }

  private static void say(String line) {
    System.out.println("guest: " + line);
  }

  private List<Path> regionPaths() {
    if (regionCount < 1 || regionCount > 64) {
      throw wrong("--regions is 1 to 64, not " + regionCount);
    }
    if (images.size() > 1 && regionCount > 1 && images.size() != regionCount) {
      throw wrong("--image names " + images.size() + " files, --regions says " + regionCount);
    }
    List<Path> paths = new ArrayList<>();
    if (images.size() == 1 && regionCount > 1) {
      for (int i = 0; i < regionCount; i++) {
        paths.add(Path.of(images.getFirst() + "." + i));
      }
    } else {
      paths.addAll(images);
    }
    return paths;
  }

  private long memoryBytes(List<Path> paths) throws IOException {
    long bytes = DEFAULT_MEMORY;
    if (memorySize != null) {
      bytes = size("--memory", memorySize);
    } else if (incoming) {
      bytes = 0;
      for (Path path : paths) {
        bytes += Files.exists(path) ? Files.size(path) : PageFormat.BYTES;
      }
    }
    if (bytes < PageFormat.BYTES || bytes % PageFormat.BYTES != 0) {
      throw wrong("--memory of " + bytes + " bytes is not a multiple of 4096");
    }
    return bytes;
  }

  private PagePattern chosenPattern() {
    for (PagePattern known : PagePattern.values()) {
      if (known.word().equals(pattern)) {
        return known;
      }
    }
    throw wrong(
        "'"
            + pattern
            + "' is no pattern; there are uniform, hot-spot, sequential, mostly-zero,"
            + " text and random");
  }

  private long rate() {
    if (dirtyRate.equals("max")) {
      return Long.MAX_VALUE;
    }
    return rate("--dirty-rate", dirtyRate);
  }

  private long rate(String option, String text) {
    try {
      return BitRate.parse(text);
    } catch (UnitFormatException e) {
      throw wrong(option + ": " + e.getMessage());
    }
  }

  private long size(String option, String text) {
    try {
      return ByteSize.parse(text);
    } catch (UnitFormatException e) {
      throw wrong(option + ": " + e.getMessage());
    }
  }

  private ParameterException wrong(String sentence) {
    return new ParameterException(Objects.requireNonNull(spec).commandLine(), sentence);
  }

  /** The version of the product, from the jar. */
  static final class Version implements CommandLine.IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = DemoGuest.class.getPackage().getImplementationVersion();
      return new String[] {"pageferry demo guest " + (version == null ? "(unpacked)" : version)};
    }
  }
}
