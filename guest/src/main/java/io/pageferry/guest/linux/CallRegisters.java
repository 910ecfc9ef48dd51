package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.MemorySegment;

/**
 * How a kind of machine makes a system call: its instruction, its numbers, and where its arguments
 * are in the registers as {@code NT_PRSTATUS} lays them out.
 */
public enum CallRegisters {
  /**
   * {@code syscall}, with struct user_regs_struct. The kernel restarts an interrupted call when the
   * thread goes on, by what orig_rax says: it must say -1 while another call is made.
   */
  X86_64(216, 128, 80, 80, 120, 112, 0x050f, 2, 1, 62, 323, 3),

  /**
   * {@code svc #0}, with struct user_pt_regs. The kernel has prepared the restart of an interrupted
   * call before it stops the thread, and gives it up when it finds another program counter; the
   * registers as they were read make the call anew. A timed wait that the kernel would have gone on
   * with begins anew with its whole time.
   */
  AARCH64(272, 256, 64, 0, -1, 0, 0xd4000001, 4, 4, 183, 282, 57);

  /** Room for the registers of any machine. */
  public static final int MOST_BYTES = 512;

  private final int bytes;
  private final int counter;
  private final int number;
  private final int result;
  private final int interrupted;
  private final int argument;

  /** Its bytes, the first one lowest. */
  private final int instruction;

  private final int instructionBytes;
  private final int alignment;
  private final int elfMachine;
  private final long userfaultfd;
  private final long close;

  CallRegisters(
      int bytes,
      int counter,
      int number,
      int result,
      int interrupted,
      int argument,
      int instruction,
      int instructionBytes,
      int alignment,
      int elfMachine,
      long userfaultfd,
      long close) {
    this.bytes = bytes;
    this.counter = counter;
    this.number = number;
    this.result = result;
    this.interrupted = interrupted;
    this.argument = argument;
    this.instruction = instruction;
    this.instructionBytes = instructionBytes;
    this.alignment = alignment;
    this.elfMachine = elfMachine;
    this.userfaultfd = userfaultfd;
    this.close = close;
  }

  /** Of the machine that this runs on. */
  public static CallRegisters ofThisMachine() {
    return "aarch64".equals(System.getProperty("os.arch")) ? AARCH64 : X86_64;
  }

  /** How many bytes the registers of a 64-bit program have. */
  public int bytes() {
    return bytes;
  }

  /** The number of this machine in an executable's header. */
  public int elfMachine() {
    return elfMachine;
  }

  /** The number of userfaultfd(flags). */
  public long userfaultfd() {
    return userfaultfd;
  }

  /** The number of close(descriptor). */
  public long close() {
    return close;
  }

  /**
   * Has a thread that goes on make a system call next.
   *
   * @param registers its registers, which are changed
   * @param instruction the address of a system call instruction in its process
   * @param call the number of the call
   * @param value its first argument
   */
  public void prepare(MemorySegment registers, long instruction, long call, long value) {
    registers.set(JAVA_LONG_UNALIGNED, counter, instruction);
    registers.set(JAVA_LONG_UNALIGNED, number, call);
    registers.set(JAVA_LONG_UNALIGNED, argument, value);
    if (interrupted >= 0) {
      registers.set(JAVA_LONG_UNALIGNED, interrupted, -1);
    }
  }

  /** Where the thread goes on. */
  public long programCounter(MemorySegment registers) {
    return registers.get(JAVA_LONG_UNALIGNED, counter);
  }

  /** What the system call returned: its result, or a negated {@link Errno}. */
  public long result(MemorySegment registers) {
    return registers.get(JAVA_LONG_UNALIGNED, result);
  }

  /**
   * Finds a system call instruction.
   *
   * @param code machine code that begins at a multiple of 4096
   * @return its place in the code, or -1
   */
  public int findInstruction(byte[] code) {
    for (int at = 0; at + instructionBytes <= code.length; at += alignment) {
      boolean same = true;
      for (int i = 0; i < instructionBytes && same; i++) {
        same = code[at + i] == (byte) (instruction >> (8 * i));
      }
      if (same) {
        return at;
      }
    }
    return -1;
  }
}
