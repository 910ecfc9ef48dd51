package io.pageferry.guest.attach;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.guest.attach.AttachException.Problem;
import io.pageferry.guest.dirty.WriteProtectTracker;
import io.pageferry.guest.fault.FaultService;
import io.pageferry.guest.fault.FaultSink;
import io.pageferry.guest.fault.MissingPages;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.Images;
import io.pageferry.guest.linux.CallRegisters;
import io.pageferry.guest.linux.ProcessStatus;
import io.pageferry.guest.linux.Userfaultfd;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Attaching to real processes that notice whatever is done to them. */
@Timeout(value = 180, unit = TimeUnit.SECONDS)
class AttachTest {
  private static final Duration LIMIT = Duration.ofSeconds(60);

  @TempDir private static Path folder;
  private static Path program = Path.of("");

  private Path tmpfs = Path.of("");
  private Path file = Path.of("");

  @BeforeAll
  static void compile() throws Exception {
    program = Bystander.compile(folder);
  }

  @BeforeEach
  void makeFile() throws IOException {
    tmpfs = Images.tmpfsFolder();
    file = Images.sparse(tmpfs.resolve("ram"), Bystander.BYTES);
  }

  @AfterEach
  void removeFile() throws IOException {
    Images.deleteFolder(tmpfs);
  }

  private GuestImage image() throws IOException {
    return GuestImage.openExisting(Images.describe(folder, List.of(file), 0));
  }

  private Path another() throws IOException {
    return Images.sparse(tmpfs.resolve("another"), Bystander.BYTES);
  }

  private static void letGo(Attached attached) {
    attached.handover().unregister();
    attached.handover().close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"spin", "sleep", "futex", "poll", "read"})
  void whatAThreadDoesIsNotDisturbed(String role) throws Exception {
    try (Bystander guest = Bystander.start(program, file, role);
        GuestImage image = image()) {
      long before = guest.state().rounds();
      for (int i = 0; i < 20; i++) {
        Attached attached = Attach.to(guest.pid(), image, HandoverMode.WRITE_PROTECT);
        assertThat(attached.found()).isFalse();
        assertThat(attached.held()).isPositive();
        letGo(attached);
        assertThat(Userfaultfd.heldBy(guest.pid())).isEmpty();
      }
      if (role.equals("read")) {
        assertThat(guest.state().rounds()).isZero();
        assertThat(guest.ask("feed")).isEqualTo("done");
      }
      await().atMost(LIMIT).until(() -> guest.state().rounds() > before);
      assertThat(guest.state().faults()).isZero();
    }
  }

  @Test
  void signalsThatComeMeanwhileAreDelivered() throws Exception {
    int signals = 2000;
    try (Bystander guest = Bystander.start(program, file, "spin");
        GuestImage image = image()) {
      guest.tell("signal " + signals);
      for (int i = 0; i < 50; i++) {
        letGo(Attach.to(guest.pid(), image, HandoverMode.WRITE_PROTECT));
      }
      assertThat(guest.answer()).isEqualTo("done");
      await().atMost(LIMIT).until(() -> guest.state().signals() == signals);
      assertThat(guest.state().faults()).isZero();
    }
  }

  @Test
  void aStoppedProcessStaysStopped() throws Exception {
    try (Bystander guest = Bystander.start(program, file, "spin", "sleep");
        GuestImage image = image()) {
      guest.signal("STOP");
      await().atMost(LIMIT).until(() -> ProcessStatus.of(guest.pid()).state() == 'T');
      Attached attached = Attach.to(guest.pid(), image, HandoverMode.WRITE_PROTECT);
      assertThat(ProcessStatus.of(guest.pid()).state()).isEqualTo('T');
      letGo(attached);
      assertThat(ProcessStatus.of(guest.pid()).state()).isEqualTo('T');
      assertThat(Userfaultfd.heldBy(guest.pid())).isEmpty();
      guest.signal("CONT");
      long before = guest.state().rounds();
      await().atMost(LIMIT).until(() -> guest.state().rounds() > before);
      assertThat(guest.state().faults()).isZero();
    }
  }

  /** The trap of a step that coincides with a stop must not be left behind: it ends a process. */
  @Test
  void stopsThatComeMeanwhileDoNoHarm() throws Exception {
    try (Bystander guest = Bystander.start(program, file, "spin", "sleep");
        GuestImage image = image()) {
      String loop = "while kill -STOP %1$d && kill -CONT %1$d; do :; done".formatted(guest.pid());
      Process stopper = new ProcessBuilder("sh", "-c", loop).inheritIO().start();
      try {
        for (int i = 0; i < 100; i++) {
          letGo(Attach.to(guest.pid(), image, HandoverMode.WRITE_PROTECT));
        }
      } finally {
        stopper.destroyForcibly().waitFor();
      }
      guest.signal("CONT");
      long before = guest.state().rounds();
      await().atMost(LIMIT).until(() -> guest.state().rounds() > before);
      assertThat(guest.state().faults()).isZero();
      assertThat(Userfaultfd.heldBy(guest.pid())).isEmpty();
    }
  }

  @Test
  void writesOfTheProcessAreFound() throws Exception {
    try (Bystander guest = Bystander.start(program, file, "sleep");
        GuestImage image = image()) {
      // Whichever process it is.
      Attached attached = Attach.to(image, HandoverMode.WRITE_PROTECT);
      assertThat(attached.handover().pid()).isEqualTo(guest.pid());
      try (WriteProtectTracker tracker = new WriteProtectTracker(attached.handover(), image)) {
        tracker.arm();
        assertThat(pages(tracker)).isEmpty();
        guest.ask("write 7 1");
        guest.ask("write 2047 1");
        assertThat(pages(tracker)).containsExactly(7L, 2047L);
        assertThat(pages(tracker)).isEmpty();
      }
      assertThat(Userfaultfd.heldBy(guest.pid())).isEmpty();
    }
  }

  private static Set<Long> pages(WriteProtectTracker tracker) throws IOException {
    Set<Long> found = new TreeSet<>();
    tracker.collect(
        (region, first, count) -> {
          for (long page = first; page < first + count; page++) {
            found.add(page);
          }
        });
    return found;
  }

  /** What the guest asks for. */
  private static final class Asked implements FaultSink {
    final LinkedBlockingQueue<Long> pages = new LinkedBlockingQueue<>();

    @Override
    public void request(int region, long[] asked, int count) {
      for (int i = 0; i < count; i++) {
        pages.add(asked[i]);
      }
    }

    @Override
    public void guestGone() {}

    @Override
    public void failed(IOException cause) {}
  }

  /** The agent that serves a page fault is gone, and another one takes the guest up. */
  @Test
  void missingPagesAreServedAlsoByWhoComesLater() throws Exception {
    int pages = (int) (Bystander.BYTES / 4096);
    try (Bystander guest = Bystander.start(program, file, "sleep");
        GuestImage image = image()) {
      assertThatExceptionOfType(AttachException.class)
          .isThrownBy(() -> Attach.again(image))
          .satisfies(e -> assertThat(e.problem()).isEqualTo(Problem.NOTHING_LEFT));
      Attached first = Attach.to(guest.pid(), image, HandoverMode.MISSING);
      guest.tell("read 5");
      await().atMost(LIMIT).until(() -> first.handover().userfaultfd().poll(0));
      // As the end of an agent does it.
      first.handover().close();
      assertThat(Userfaultfd.heldBy(guest.pid())).hasSize(1);

      Attached second = Attach.again(image);
      assertThat(second.found()).isTrue();
      MissingPages missing = MissingPages.create(folder.resolve("missing"), List.of((long) pages));
      missing.add(0, 0, pages);
      Asked asked = new Asked();
      GuestHandover handover = second.handover();
      try (FaultService service = FaultService.start(handover, image, missing, asked)) {
        assertThat(asked.pages.poll(30, TimeUnit.SECONDS)).isEqualTo(5);
        ByteBuffer content = ByteBuffer.allocateDirect(4096).order(ByteOrder.LITTLE_ENDIAN);
        service.land(0, 5, content.putLong(0, 4711), (region, page, count) -> {});
        assertThat(guest.answer()).isEqualTo("4711");
        service.landZero(0, 0, pages, (region, page, count) -> {});
        assertThat(guest.ask("read 6")).isEqualTo("0");
        service.finish();
      }
      assertThat(Userfaultfd.heldBy(guest.pid())).isEmpty();
      assertThat(guest.state().faults()).isZero();
    }
  }

  /** Whose descriptor it is cannot be asked: it is taken all the same, and left where it was. */
  @Test
  void whatMayBeTheProcesssOwnStaysOpenThere() throws Exception {
    try (Bystander guest = Bystander.start(program, file, "sleep");
        GuestImage image = image()) {
      assertThatExceptionOfType(AttachException.class)
          .isThrownBy(() -> Attach.borrowed(image))
          .satisfies(e -> assertThat(e.problem()).isEqualTo(Problem.NOTHING_LEFT));
      Attach.to(guest.pid(), image, HandoverMode.MISSING).handover().close();
      Attached borrowed = Attach.borrowed(image);
      assertThat(borrowed.found()).isTrue();
      borrowed.handover().unregister();
      borrowed.handover().close();
      assertThat(Userfaultfd.heldBy(guest.pid())).hasSize(1);
      assertThat(guest.ask("read 6")).isEqualTo("0");
    }
  }

  @Test
  void anImageThatAProcessHasIsSomebodysMemory() throws Exception {
    try (Bystander guest = Bystander.start(program, file, "sleep");
        GuestImage image = image()) {
      assertThat(guest.pid()).isPositive();
      assertThat(GuestProcess.isNobodysMemory(image)).isFalse();
    }
  }

  private void assertRefused(int pid, GuestImage image, Problem problem, String... words) {
    assertThatExceptionOfType(AttachException.class)
        .isThrownBy(() -> Attach.to(pid, image, HandoverMode.WRITE_PROTECT))
        .satisfies(
            e -> {
              assertThat(e.problem()).isEqualTo(problem);
              assertThat(e).hasMessageContainingAll(words);
            });
  }

  @Test
  void whatSomebodyElseTracesIsLeftToHim() throws Exception {
    try (Bystander guest = Bystander.start(program, file, "spin");
        Bystander debugger = Bystander.start(program, another());
        GuestImage image = image()) {
      assertThat(debugger.ask("trace " + guest.pid())).isEqualTo("done");
      assertRefused(guest.pid(), image, Problem.TRACED, "by process " + debugger.pid());
      assertThat(ProcessStatus.of(guest.pid()).tracer()).isEqualTo(debugger.pid());
      debugger.kill();
      await().atMost(LIMIT).until(() -> ProcessStatus.of(guest.pid()).tracer() == 0);
      letGo(Attach.to(guest.pid(), image, HandoverMode.WRITE_PROTECT));
      assertThat(guest.state().faults()).isZero();
    }
  }

  @Test
  void aRefusalLeavesTheProcessAsItWas() throws Exception {
    try (Bystander filtered = Bystander.start(program, file, "filter", "sleep");
        GuestImage image = image()) {
      assertRefused(filtered.pid(), image, Problem.FILTERED, "seccomp");
      assertRefused((int) ProcessHandle.current().pid(), image, Problem.FOREIGN, "not mapped any");
      assertThat(filtered.state().faults()).isZero();
      try (Bystander other = Bystander.start(program, file)) {
        assertThatExceptionOfType(AttachException.class)
            .isThrownBy(() -> Attach.to(image, HandoverMode.WRITE_PROTECT))
            .withMessageContainingAll("2 processes", other.pid() + " (bystander)");
        // Its only thread is the first one of a child of this process.
        assertRefused(other.pid(), image, Problem.NOT_STOPPED, "one thread only");
        assertThat(other.state().faults()).isZero();
        other.kill();
        assertRefused(other.pid(), image, Problem.NO_PROCESS, "has ended");
      }
      GuestProcess.requireMapped(image);
    }
    try (GuestImage image = image()) {
      assertThatExceptionOfType(AttachException.class)
          .isThrownBy(() -> Attach.to(image, HandoverMode.WRITE_PROTECT))
          .satisfies(e -> assertThat(e.problem()).isEqualTo(Problem.NOBODY_MAPS));
    }
  }

  private static final List<String> WITHOUT_TRACING =
      List.of("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace");

  private static void requireRoot() throws IOException {
    assumeThat(ProcessStatus.ofSelf().user()).as("only root has rights to give up").isZero();
  }

  /** What an agent says that may not trace others. */
  private String attachedWithoutTracing(Bystander guest) throws IOException {
    List<String> command = new ArrayList<>(WITHOUT_TRACING);
    command.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            System.getProperty("java.class.path"),
            AttachMain.class.getName(),
            Integer.toString(guest.pid()),
            folder.toString(),
            file.toString()));
    Process agent =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    return new String(agent.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  @Test
  void anAgentWithoutTheRightIsToldWhatToGrant() throws Exception {
    requireRoot();
    try (Bystander guest = Bystander.start(program, file, "sleep")) {
      assertThat(attachedWithoutTracing(guest))
          .startsWith("NOT_PERMITTED: not permitted to trace process " + guest.pid() + ": grant")
          .contains("CAP_SYS_PTRACE");
      assertThat(guest.state().faults()).isZero();
    }
  }

  /** Its equal in rights, and no descendant: whether that suffices is Yama's to say. */
  @Test
  void whereYamaForbidsToTraceItsSettingIsNamed() throws Exception {
    requireRoot();
    Path yama = Path.of("/proc/sys/kernel/yama/ptrace_scope");
    String scope = Files.exists(yama) ? Files.readString(yama).strip() : "0";
    try (Bystander guest = Bystander.start(WITHOUT_TRACING, program, file, "shy", "sleep")) {
      String said = attachedWithoutTracing(guest).lines().toList().getLast();
      if (scope.equals("0")) {
        assertThat(said).isEqualTo("attached");
      } else {
        assertThat(said).startsWith("NOT_PERMITTED").contains("kernel.yama.ptrace_scope");
      }
      assertThat(guest.state().faults()).isZero();
      assertThat(Userfaultfd.heldBy(guest.pid())).isEmpty();
    }
  }

  @Test
  void whatToGrantDependsOnWhatForbidsIt() {
    assertThat(Attach.grants("0", false, false, false)).contains("CAP_SYS_PTRACE, in a container");
    for (String scope : List.of("1", "2")) {
      assertThat(Attach.grants(scope, false, false, false))
          .contains("CAP_SYS_PTRACE, or set the sysctl kernel.yama.ptrace_scope=0");
    }
    // No right helps there, and no other setting before the host boots again.
    assertThat(Attach.grants("3", true, false, false))
        .contains("kernel.yama.ptrace_scope is 3")
        .doesNotContain("CAP_SYS_PTRACE");
    assertThat(Attach.grants("1", true, true, false)).contains("seccomp profile");
    assertThat(Attach.grants("0", false, false, true)).contains("as the guest's user");
  }

  /** No thread of it can be stopped, and it does not notice that this was tried. */
  @Test
  void aThreadThatHangsInTheKernelIsLeftThere() throws Exception {
    try (Bystander guest = Bystander.start(program, file, "vfork");
        GuestImage image = image()) {
      await().atMost(LIMIT).until(() -> hangs(guest.pid()));
      assertRefused(guest.pid(), image, Problem.NOT_STOPPED, "hangs in the kernel");
      assertThat(ProcessStatus.of(guest.pid()).tracer()).isZero();
      assertThat(guest.state().rounds()).isZero();
      assertThat(guest.ask("feed")).isEqualTo("done");
      await().atMost(LIMIT).until(() -> guest.state().rounds() > 0);
      assertThat(guest.state().faults()).isZero();
      assertThat(Userfaultfd.heldBy(guest.pid())).isEmpty();
    }
  }

  @Test
  void aProcessThatEndsWhileItIsAttachedToIsSaidToHaveEnded() throws Exception {
    try (Bystander guest = Bystander.start(program, file, "vfork");
        GuestImage image = image()) {
      await().atMost(LIMIT).until(() -> hangs(guest.pid()));
      FutureTask<Attached> attaching =
          new FutureTask<>(() -> Attach.to(guest.pid(), image, HandoverMode.WRITE_PROTECT));
      Thread.ofPlatform().start(attaching);
      await()
          .atMost(LIMIT)
          .until(
              () ->
                  attaching.isDone()
                      || threads(guest.pid()).stream().anyMatch(each -> each.tracer() != 0));
      guest.kill();
      // This thread may have been kept from it for longer than the other waits.
      assertThatThrownBy(() -> attaching.get(60, TimeUnit.SECONDS))
          .cause()
          .isInstanceOfSatisfying(
              AttachException.class,
              e -> assertThat(e.problem()).isIn(Problem.NO_PROCESS, Problem.NOT_STOPPED));
    }
  }

  private static boolean hangs(int pid) throws IOException {
    return threads(pid).stream().anyMatch(each -> each.state() == 'D');
  }

  private static List<ProcessStatus> threads(int pid) throws IOException {
    List<ProcessStatus> found = new ArrayList<>();
    try (Stream<Path> threads = Files.list(Path.of("/proc/" + pid + "/task"))) {
      for (Path thread : threads.toList()) {
        found.add(ProcessStatus.ofThread(pid, Integer.parseInt(thread.getFileName().toString())));
      }
    }
    return found;
  }

  @Test
  void aProgramOf32BitsRunsOn() throws Exception {
    if (CallRegisters.ofThisMachine() != CallRegisters.X86_64) {
      return; // no such program runs there
    }
    Path narrow = folder.resolve("narrow");
    Bystander.compile(
        narrow,
        "-m32",
        "-O1",
        "-Wall",
        "-Werror",
        "-ffreestanding",
        "-fno-pie",
        "-no-pie",
        "-fno-stack-protector",
        "-nostdlib",
        "-static",
        "src/test/c/narrow.c");
    Process process;
    try {
      process = new ProcessBuilder(narrow.toString(), file.toString()).inheritIO().start();
    } catch (IOException e) {
      // A kernel that runs no such program has none to be attached to.
      assertThat(e).hasMessageContaining("Exec format error");
      return;
    }
    try (GuestImage image = image()) {
      await().atMost(LIMIT).until(() -> counted() > 0);
      assertRefused((int) process.pid(), image, Problem.OTHER_MACHINE, "not a 64-bit program");
      int before = counted();
      await().atMost(LIMIT).until(() -> counted() > before);
      assertThat(process.isAlive()).isTrue();
    } finally {
      process.destroyForcibly().waitFor();
    }
  }

  private int counted() throws IOException {
    try (FileChannel channel = FileChannel.open(file)) {
      ByteBuffer word = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN);
      channel.read(word);
      return word.getInt(0);
    }
  }

  /** What the kernel touches on its behalf would fail instead of wait. */
  @Test
  void aGuestWithoutTheRightIsFollowedButNotServed() throws Exception {
    requireRoot();
    Path sysctl = Path.of("/proc/sys/vm/unprivileged_userfaultfd");
    assumeThat(Files.readString(sysctl)).as("every process has the right").startsWith("0");
    try (Bystander guest = Bystander.start(WITHOUT_TRACING, program, file, "sleep");
        GuestImage image = image()) {
      assertThatExceptionOfType(AttachException.class)
          .isThrownBy(() -> Attach.to(guest.pid(), image, HandoverMode.MISSING))
          .withMessageContaining("vm.unprivileged_userfaultfd=1")
          .satisfies(e -> assertThat(e.problem()).isEqualTo(Problem.CALL_REFUSED));
      assertThat(Userfaultfd.heldBy(guest.pid())).isEmpty();
      Attached attached = Attach.to(guest.pid(), image, HandoverMode.WRITE_PROTECT);
      letGo(attached);
      assertThat(guest.state().faults()).isZero();
    }
  }

  @Test
  void onlyPrograms64BitsWideAndOfThisMachineAreTouched() throws Exception {
    byte[] header = Arrays.copyOf(Files.readAllBytes(program), 20);
    CallRegisters here = CallRegisters.ofThisMachine();
    assertThat(GuestThreads.isOfThisMachine(header, here)).isTrue();
    for (CallRegisters machine : CallRegisters.values()) {
      assertThat(GuestThreads.isOfThisMachine(header, machine)).isEqualTo(machine == here);
    }
    assertThat(GuestThreads.isOfThisMachine(Arrays.copyOf(header, 19), here)).isFalse();
    header[4] = 1;
    assertThat(GuestThreads.isOfThisMachine(header, here)).isFalse();
  }
}
