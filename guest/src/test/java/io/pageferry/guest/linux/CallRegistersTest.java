package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Where a system call's registers are, against C's structures of both machines. */
class CallRegistersTest {
  /**
   * Registers by what they are for: the counter at which the call is made, its number, its first
   * argument, and -1 where the kernel would restart another call. The structures are declared as
   * the headers of each machine have them, so that one machine can check both.
   */
  private static final String C =
      """
      #include <stddef.h>
      #include <stdint.h>
      #include <stdio.h>
      #include <linux/elf-em.h>
      struct user_regs_struct {
        uint64_t r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs,
            flags, sp, ss, fs_base, gs_base, ds, es, fs, gs;
      };
      struct user_pt_regs { uint64_t regs[31], sp, pc, pstate; };
      #define N(machine, name, value) printf(machine " " name " %lld\\n", (long long) (value))
      #define X(name, member) N("X86_64", name, offsetof(struct user_regs_struct, member))
      #define A(name, member) N("AARCH64", name, offsetof(struct user_pt_regs, member))
      int main(void) {
        N("X86_64", "bytes", sizeof(struct user_regs_struct)); N("X86_64", "machine", EM_X86_64);
        X("4096", ip); X("282", ax); X("77", di); X("-1", orig_ax);
        N("AARCH64", "bytes", sizeof(struct user_pt_regs)); N("AARCH64", "machine", EM_AARCH64);
        A("4096", pc); A("282", regs[8]); A("77", regs[0]);
        return 0;
      }
      """;

  @TempDir private Path folder;

  @ParameterizedTest
  @EnumSource
  void aCallIsWhereTheCompilerSays(CallRegisters machine) throws Exception {
    Map<String, Long> compiled = compiled(machine);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment registers = arena.allocate(machine.bytes());
      machine.prepare(registers, 4096, 282, 77);
      Map<String, Long> ours = new TreeMap<>();
      ours.put("bytes", (long) machine.bytes());
      ours.put("machine", (long) machine.elfMachine());
      for (long at = 0; at < machine.bytes(); at += 8) {
        long value = registers.get(JAVA_LONG_UNALIGNED, at);
        if (value != 0) {
          ours.put(Long.toString(value), at);
        }
      }
      assertThat(ours).isEqualTo(compiled);
      assertThat(machine.programCounter(registers)).isEqualTo(4096);
    }
  }

  private Map<String, Long> compiled(CallRegisters machine) throws Exception {
    Path source = Files.writeString(folder.resolve("registers.c"), C);
    Path program = folder.resolve("registers");
    assertThat(
            new ProcessBuilder("gcc", "-o", program.toString(), source.toString())
                .inheritIO()
                .start()
                .waitFor())
        .isZero();
    Process run = new ProcessBuilder(program.toString()).start();
    String output = new String(run.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
    return output
        .lines()
        .map(line -> line.split(" ", 3))
        .filter(words -> words[0].equals(machine.name()))
        .collect(Collectors.toMap(words -> words[1], words -> Long.valueOf(words[2])));
  }

  @Test
  void theResultIsInTheRegisterOfTheMachine() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x86 = arena.allocate(CallRegisters.X86_64.bytes());
      x86.set(JAVA_LONG_UNALIGNED, 80, -Errno.EPERM);
      assertThat(CallRegisters.X86_64.result(x86)).isEqualTo(-Errno.EPERM);
      MemorySegment arm = arena.allocate(CallRegisters.AARCH64.bytes());
      arm.set(JAVA_LONG_UNALIGNED, 0, 17);
      assertThat(CallRegisters.AARCH64.result(arm)).isEqualTo(17);
    }
  }

  @Test
  void theNumbersAreThoseOfTheMachine() {
    assertThat(CallRegisters.ofThisMachine().userfaultfd()).isEqualTo(Abi.SYS_USERFAULTFD);
    assertThat(CallRegisters.X86_64.userfaultfd()).isEqualTo(323);
    assertThat(CallRegisters.X86_64.close()).isEqualTo(3);
    // asm-generic/unistd.h
    assertThat(CallRegisters.AARCH64.userfaultfd()).isEqualTo(282);
    assertThat(CallRegisters.AARCH64.close()).isEqualTo(57);
  }

  @Test
  void anInstructionIsFoundWhereItCanBeExecuted() {
    // nop; mov $5,%eax; syscall; ret
    byte[] x86 = {(byte) 0x90, (byte) 0xb8, 5, 0, 0, 0, 0x0f, 0x05, (byte) 0xc3};
    assertThat(CallRegisters.X86_64.findInstruction(x86)).isEqualTo(6);
    assertThat(CallRegisters.X86_64.findInstruction(new byte[] {0x0f})).isEqualTo(-1);
    // The bytes of svc #0 across two instructions, then as one.
    byte[] arm = {0, 0, 1, 0, 0, (byte) 0xd4, 0, 0, 1, 0, 0, (byte) 0xd4};
    assertThat(CallRegisters.AARCH64.findInstruction(arm)).isEqualTo(8);
    assertThat(CallRegisters.AARCH64.findInstruction(x86)).isEqualTo(-1);
  }
}
