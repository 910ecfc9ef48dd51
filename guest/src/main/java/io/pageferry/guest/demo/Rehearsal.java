package io.pageferry.guest.demo;

import io.pageferry.guest.control.QmpControl;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * Moves small guests on scratch memory within this process before the real one answers: the classes
 * of the way are loaded then and the loops compiled, so that the first stop and the first tick
 * after a hand-over cost what the later ones cost. It touches nothing of the real guest.
 */
final class Rehearsal {
  private static final int PAGES = 1024;
  private static final int WRITES = 12_000;
  private static final int MOVES = 12;
  private static final Duration LIMIT = Duration.ofSeconds(20);

  /** As for the agents: {@code no} spares the processor time. */
  private static final boolean WANTED = !"no".equals(System.getenv("PAGEFERRY_REHEARSE"));

  private Rehearsal() {}

  /** Rehearses; the first pattern is the one that is moved about. */
  static void run(PagePattern[] patterns, PageContent content, long seed)
      throws IOException, InterruptedException {
    if (!WANTED) {
      return;
    }
    // One piece for all: what a small heap may have beside it is as small, and a collection would
    // have to give the others back.
    GuestMemory scratch = GuestMemory.scratch(PAGES);
    for (PagePattern pattern : patterns) {
      Registers registers = registers(scratch, pattern, seed);
      fill(scratch, registers, content);
      Vcpu.exercise(scratch, registers, content, WRITES / patterns.length);
      if (registers.faults != 0) {
        throw new IOException("the guest finds faults in its own scratch memory");
      }
    }
    Path folder = Files.createTempDirectory("pageferry-guest-");
    try {
      for (int i = 0; i < MOVES; i++) {
        move(folder, scratch, patterns[0], content, seed);
      }
    } finally {
      Files.deleteIfExists(folder);
    }
  }

  private static Registers registers(GuestMemory memory, PagePattern pattern, long seed) {
    return new Registers(seed, pattern, 20_000_000, new WorkingSet(memory, PAGES / 2));
  }

  private static void fill(GuestMemory memory, Registers registers, PageContent content) {
    memory.region(0).fill((byte) 0);
    for (long page = 0; page < memory.pages(); page++) {
      boolean zero =
          registers.workingSet.indexOf(page) >= 0
              ? registers.pattern.zero(registers.seed, page, 1)
              : registers.pattern.zeroForEver(registers.seed, page);
      if (!zero) {
        content.write(
            memory.region(0),
            page * PageFormat.BYTES,
            page,
            1,
            registers.pattern.kind(registers.seed, page, 1));
      } else {
        // An earlier rehearsal wrote here.
        memory.region(0).asSlice(page * PageFormat.BYTES, PageFormat.BYTES).fill((byte) 0);
      }
    }
  }

  private static void move(
      Path folder, GuestMemory memory, PagePattern pattern, PageContent content, long seed)
      throws IOException, InterruptedException {
    Registers registers = registers(memory, pattern, seed);
    fill(memory, registers, content);
    Path sourceSocket = folder.resolve("source");
    Path targetSocket = folder.resolve("target");
    MachineEvents sourceEvents = new MachineEvents();
    MachineEvents targetEvents = new MachineEvents();
    Machine source = new Machine(memory, registers, content, Vcpu.CHECK_RATE, sourceEvents);
    Machine target = new Machine(memory, Vcpu.CHECK_RATE, targetEvents);
    try (QmpServer sourceServer = QmpServer.listen(sourceSocket);
        QmpServer targetServer = QmpServer.listen(targetSocket)) {
      sourceEvents.to(sourceServer);
      targetEvents.to(targetServer);
      Thread one = serve(sourceServer, source);
      Thread other = serve(targetServer, target);
      try (QmpControl from = QmpControl.connect(sourceSocket, LIMIT);
          QmpControl to = QmpControl.connect(targetSocket, LIMIT)) {
        from.resume();
        from.status();
        from.ticks();
        from.pause();
        to.loadDeviceState(from.saveDeviceState());
        to.resume();
        to.ticks();
        to.pause();
        from.quit();
        to.quit();
      }
      one.join(LIMIT);
      other.join(LIMIT);
    } finally {
      source.end();
      target.end();
    }
  }

  private static Thread serve(QmpServer server, Machine machine) {
    QmpDialogue dialogue =
        new QmpDialogue(
            machine,
            (socket, mode) -> {
              throw new IOException("a rehearsal has no memory to hand over");
            });
    return Thread.ofPlatform()
        .name("rehearsal")
        .daemon()
        .start(
            () -> {
              try {
                server.serve(dialogue);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
  }
}
