package io.pageferry.guest.attach;

import io.pageferry.guest.attach.AttachException.Problem;
import io.pageferry.guest.linux.CallRegisters;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.ProcessMaps;
import io.pageferry.guest.linux.ProcessMaps.Mapping;
import io.pageferry.guest.linux.ProcessStatus;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The threads of a process, of which one is to make a system call. What can be told beforehand is
 * looked at before any of them is touched.
 */
final class GuestThreads {
  private static final int ELF_HEADER = 20;
  private static final int ELF_MAGIC = 0x464c457f;
  private static final int ELF_CLASS = 4;
  private static final int ELF_CLASS_64 = 2;
  private static final int ELF_MACHINE = 18;
  private static final int MOST_CODE = 1 << 20;

  private final int pid;
  private final CallRegisters machine = CallRegisters.ofThisMachine();
  private final long instruction;
  private final boolean withFirst;
  private final boolean filters;

  private GuestThreads(int pid, boolean withFirst, boolean filters) throws IOException {
    this.pid = pid;
    this.withFirst = withFirst;
    this.filters = filters;
    this.instruction = findInstruction();
  }

  /**
   * Looks at a process.
   *
   * @throws AttachException if none of its threads is to be held
   * @throws IOException of another kind if it has ended, or without the right to trace it
   */
  static GuestThreads of(int pid) throws IOException {
    return of(pid, true);
  }

  /**
   * The same of a process that this one has started, and that is to make harmless calls only: in a
   * container it is under the same filter as this one.
   */
  static GuestThreads ofOwn(int pid) throws IOException {
    return of(pid, false);
  }

  private static GuestThreads of(int pid, boolean filters) throws IOException {
    ProcessStatus status = ProcessStatus.of(pid);
    if (status.tracer() != 0) {
      throw new AttachException(
          Problem.TRACED,
          "process %d is traced by process %d (%s) already, and a process has one tracer: end that"
              .formatted(pid, status.tracer(), nameOf(status.tracer())));
    }
    if (status.state() == 'Z' || status.state() == 'X') {
      throw new AttachException(Problem.NO_PROCESS, "process " + pid + " has ended");
    }
    if (filters && status.filtered() != 0) {
      throw new AttachException(
          Problem.FILTERED,
          "the system calls of process %d are filtered (seccomp), and one that the filter does not"
                  .formatted(pid)
              + " expect could end it: start it without (QEMU: -sandbox off; a container:"
              + " --security-opt seccomp=unconfined)");
    }
    requireThisMachine(pid);
    // The JVM would take the stop of its child's first thread for the child's end.
    return new GuestThreads(pid, status.parent() != ProcessHandle.current().pid(), filters);
  }

  private static String nameOf(int pid) {
    try {
      return ProcessStatus.of(pid).name();
    } catch (IOException e) {
      return "ended";
    }
  }

  private static void requireThisMachine(int pid) throws IOException {
    byte[] header;
    try (InputStream in = Files.newInputStream(Path.of("/proc/" + pid + "/exe"))) {
      header = in.readNBytes(ELF_HEADER);
    }
    if (!isOfThisMachine(header, CallRegisters.ofThisMachine())) {
      throw new AttachException(
          Problem.OTHER_MACHINE,
          "process %d is not a 64-bit program of this machine, and only those can be attached to"
              .formatted(pid));
    }
  }

  /** Whether an executable that begins like this is a 64-bit one of a machine. */
  static boolean isOfThisMachine(byte[] header, CallRegisters machine) {
    if (header.length < ELF_HEADER) {
      return false;
    }
    ByteBuffer elf = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
    return elf.getInt(0) == ELF_MAGIC
        && elf.get(ELF_CLASS) == ELF_CLASS_64
        && elf.getShort(ELF_MACHINE) == machine.elfMachine();
  }

  /** In the code that the kernel has put into every process, or else in some other. */
  private long findInstruction() throws IOException {
    List<Mapping> code = new ArrayList<>();
    for (Mapping mapping : ProcessMaps.of(pid)) {
      if (mapping.name().equals("[vdso]")) {
        code.addFirst(mapping);
      } else if (mapping.executable() && mapping.start() > 0) {
        code.add(mapping);
      }
    }
    try (FileChannel memory = FileChannel.open(Path.of("/proc/" + pid + "/mem"))) {
      for (Mapping mapping : code) {
        ByteBuffer bytes =
            ByteBuffer.allocate((int) Math.min(MOST_CODE, mapping.end() - mapping.start()));
        int read = read(memory, bytes, mapping.start());
        int at = machine.findInstruction(Arrays.copyOf(bytes.array(), read));
        if (at >= 0) {
          return mapping.start() + at;
        }
      }
    }
    throw new AttachException(
        Problem.KERNEL, "process " + pid + " has no code that makes system calls");
  }

  private static int read(FileChannel memory, ByteBuffer into, long address) {
    try {
      return Math.max(0, memory.read(into, address));
    } catch (IOException e) {
      // Unmapped meanwhile, or a kind of memory that cannot be read this way.
      return 0;
    }
  }

  /** Has one of them make a userfaultfd, with the first of these flags that is permitted. */
  CallInjection.Outcome userfaultfd(long... flags) throws IOException {
    return call(machine.userfaultfd(), flags);
  }

  /** Has one of them close a descriptor. */
  CallInjection.Outcome close(int descriptor) throws IOException {
    return call(machine.close(), descriptor);
  }

  private CallInjection.Outcome call(long number, long... alternatives) throws IOException {
    List<ThreadChoice> choices = ThreadChoice.of(pid, withFirst, filters);
    if (choices.isEmpty() && !withFirst) {
      throw new AttachException(
          Problem.NOT_STOPPED,
          "process %d has one thread only and was started by this very process, which must not hold"
                  .formatted(pid)
              + " that one: start it by another");
    }
    LinuxException refused = null;
    for (ThreadChoice choice : choices) {
      try {
        CallInjection.Outcome outcome =
            CallInjection.on(choice.thread(), machine, instruction, number, alternatives);
        if (outcome != null) {
          return outcome;
        }
      } catch (LinuxException e) {
        if (e.errno() != Errno.EPERM) {
          throw e;
        }
        // Said of a thread that is about to end as well; the next may be another matter.
        refused = e;
      }
    }
    if (refused != null) {
      throw refused;
    }
    // Says that it has ended, if it has.
    if (ProcessStatus.of(pid).state() == 'Z') {
      throw new AttachException(Problem.NO_PROCESS, "process " + pid + " has ended");
    }
    throw new AttachException(
        Problem.NOT_STOPPED,
        "no thread of process %d could be stopped within %d ms: it hangs in the kernel or is frozen"
            .formatted(pid, CallInjection.STOP.toMillis()));
  }
}
