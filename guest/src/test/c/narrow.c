// A 32-bit program, without a library, which a machine of 64 bits need not have in that width.
//
//   narrow FILE
//
// maps 8 MiB of FILE shared and counts in its first word.
struct old_mmap {
  unsigned long address, length, protection, flags, file, offset;
};

struct moment {
  long seconds, nanoseconds;
};

enum { EXIT = 1, OPEN = 5, OLD_MMAP = 90, NANOSLEEP = 162 };
enum { READ_WRITE = 2, PROT_READ_WRITE = 3, SHARED = 1 };

static long call(long number, long first, long second) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second) : "memory");
  return result;
}

__asm__(".globl _start\n_start: movl %esp, %eax\npushl %eax\ncall count\n");

// What the kernel has put on the stack: the number of arguments, and the arguments.
__attribute__((used, noreturn)) void count(long *stack) {
  struct moment moment = {0, 1000000};
  struct old_mmap memory = {0, 8 << 20, PROT_READ_WRITE, SHARED, 0, 0};
  memory.file = call(OPEN, stack[2], READ_WRITE);
  volatile unsigned *word = (volatile unsigned *)call(OLD_MMAP, (long)&memory, 0);
  if ((unsigned long)word > -4096UL) {
    call(EXIT, 1, 0);
  }
  while (1) {
    ++*word;
    call(NANOSLEEP, (long)&moment, 0);
  }
}
