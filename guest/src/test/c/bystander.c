// A process that knows nothing of being attached to, and notices if anything was done to it.
//
//   bystander FILE BYTES [filter] [shy] ROLE...
//
// maps FILE shared and starts one thread for each role: spin, sleep, futex, poll, read, vfork. Its
// first thread takes commands from the standard input, one a line, and answers each with one line.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Atomic long rounds, faults, signals;
static int pipes[2];
static volatile uint64_t *memory;

static void fault(const char *what) {
  fprintf(stderr, "bystander: %s, errno %d\n", what, errno);
  faults++;
}

static int64_t millis(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#ifdef __x86_64__
// Fills the registers with values of their own, dawdles, and looks whether they are still there.
// The red zone below the stack holds one as well.
static uint64_t hold_registers(void) {
  uint64_t wrong;
  __asm__ volatile(
      "movq $0x1b1b, %%rbx; movq $0x1d1d, %%rdx; movq $0x5151, %%rsi; movq $0xd1d1, %%rdi\n"
      "movq $0x0808, %%r8; movq $0x0909, %%r9; movq $0x1010, %%r10; movq $0x1111, %%r11\n"
      "movq $0x1212, %%r12; movq $0x1313, %%r13; movq $0x1414, %%r14; movq $0x1515, %%r15\n"
      "movq %%r8, %%xmm0; movq %%r15, %%xmm15; movq $0x7e57, -64(%%rsp)\n"
      "movq $20000, %%rcx\n"
      "1: decq %%rcx; jnz 1b\n"
      "xorq %%rax, %%rax\n"
      "xorq $0x1b1b, %%rbx; orq %%rbx, %%rax; xorq $0x1d1d, %%rdx; orq %%rdx, %%rax\n"
      "xorq $0x5151, %%rsi; orq %%rsi, %%rax; xorq $0xd1d1, %%rdi; orq %%rdi, %%rax\n"
      "movq %%xmm0, %%rbx; xorq %%r8, %%rbx; orq %%rbx, %%rax\n"
      "movq %%xmm15, %%rbx; xorq %%r15, %%rbx; orq %%rbx, %%rax\n"
      "xorq $0x0808, %%r8; orq %%r8, %%rax; xorq $0x0909, %%r9; orq %%r9, %%rax\n"
      "xorq $0x1010, %%r10; orq %%r10, %%rax; xorq $0x1111, %%r11; orq %%r11, %%rax\n"
      "xorq $0x1212, %%r12; orq %%r12, %%rax; xorq $0x1313, %%r13; orq %%r13, %%rax\n"
      "xorq $0x1414, %%r14; orq %%r14, %%rax; xorq $0x1515, %%r15; orq %%r15, %%rax\n"
      "movq -64(%%rsp), %%rbx; xorq $0x7e57, %%rbx; orq %%rbx, %%rax\n"
      : "=a"(wrong)
      :
      : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "xmm0", "xmm15", "memory", "cc");
  return wrong;
}
#else
static uint64_t hold_registers(void) {
  uint64_t sum = 0, check = 0;
  for (uint64_t i = 1; i <= 20000; i++) {
    sum += i * i;
    check ^= sum;
    __asm__ volatile("" : "+r"(sum), "+r"(check));
  }
  return sum == 20000ull * 20001 * 40001 / 6 ? 0 : 1;
}
#endif

static void *spin(void *unused) {
  (void)unused;
  while (1) {
    if (hold_registers() != 0) {
      fault("a register has changed");
    }
    rounds++;
  }
  return NULL;
}

static void *sleeping(void *unused) {
  (void)unused;
  while (1) {
    int64_t begun = millis();
    struct timespec time = {0, 30 * 1000000};
    if (nanosleep(&time, NULL) != 0) {
      fault("nanosleep broke off");
    }
    if (millis() - begun < 29) {
      fault("nanosleep was short");
    }
    rounds++;
  }
  return NULL;
}

static void *futex(void *unused) {
  (void)unused;
  uint32_t word = 0;
  while (1) {
    int64_t begun = millis();
    struct timespec time = {0, 30 * 1000000};
    if (syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time) != -1 || errno != ETIMEDOUT) {
      fault("futex broke off");
    }
    if (millis() - begun < 29) {
      fault("futex was short");
    }
    rounds++;
  }
  return NULL;
}

static void *polling(void *unused) {
  (void)unused;
  while (1) {
    int64_t begun = millis();
    if (poll(NULL, 0, 30) != 0) {
      fault("poll broke off");
    }
    if (millis() - begun < 29) {
      fault("poll was short");
    }
    rounds++;
  }
  return NULL;
}

static void *reading(void *unused) {
  (void)unused;
  while (1) {
    char byte = 0;
    ssize_t got = read(pipes[0], &byte, 1);
    if (got != 1 || byte != 'x') {
      fault("read broke off");
    }
    rounds++;
  }
  return NULL;
}

static int feeding(void *unused) {
  (void)unused;
  char byte = 0;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  _exit(read(pipes[0], &byte, 1) == 1 ? 0 : 1);
}

// The kernel stops it for nobody until its child is done.
static void *forking(void *unused) {
  (void)unused;
  static char stack[64 << 10] __attribute__((aligned(16)));
  while (1) {
    int status = 1;
    int child = clone(feeding, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
      fault("vfork broke off");
    }
    rounds++;
  }
  return NULL;
}

static void on_signal(int number) {
  (void)number;
  signals++;
}

static void start(const char *role, pthread_t *thread) {
  void *(*body)(void *) = strcmp(role, "spin") == 0    ? spin
                          : strcmp(role, "sleep") == 0 ? sleeping
                          : strcmp(role, "futex") == 0 ? futex
                          : strcmp(role, "poll") == 0  ? polling
                          : strcmp(role, "read") == 0  ? reading
                          : strcmp(role, "vfork") == 0 ? forking
                                                       : NULL;
  if (body == NULL || pthread_create(thread, NULL, body, NULL) != 0) {
    fprintf(stderr, "bystander: no role %s\n", role);
    exit(2);
  }
}

static void filter_calls(void) {
  struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {1, allow};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    exit(2);
  }
}

int main(int count, char **arguments) {
  // Yama lets a process be traced by who is not its ancestor only if it says so.
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (count < 3) {
    return 2;
  }
  int file = open(arguments[1], O_RDWR | O_CLOEXEC);
  size_t bytes = strtoull(arguments[2], NULL, 10);
  memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED || pipe2(pipes, O_CLOEXEC) != 0) {
    return 2;
  }
  close(file);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGRTMIN, &action, NULL);
  pthread_t last = pthread_self();
  for (int i = 3; i < count; i++) {
    if (strcmp(arguments[i], "filter") == 0) {
      filter_calls();
    } else if (strcmp(arguments[i], "shy") == 0) {
      prctl(PR_SET_PTRACER, 0, 0, 0, 0);
    } else {
      start(arguments[i], &last);
    }
  }
  puts("ready");
  char line[256];
  while (fgets(line, sizeof line, stdin) != NULL) {
    unsigned long page, value;
    if (sscanf(line, "write %lu %lu", &page, &value) == 2) {
      memory[page * 512] = value;
      puts("done");
    } else if (sscanf(line, "read %lu", &page) == 1) {
      printf("%lu\n", (unsigned long)memory[page * 512]);
    } else if (strcmp(line, "feed\n") == 0) {
      puts(write(pipes[1], "x", 1) == 1 ? "done" : "failed");
    } else if (sscanf(line, "signal %lu", &value) == 1) {
      // To the thread started last, one by one.
      for (unsigned long i = 0; i < value; i++) {
        struct timespec moment = {0, 20000};
        pthread_kill(last, SIGRTMIN);
        nanosleep(&moment, NULL);
      }
      puts("done");
    } else if (sscanf(line, "trace %lu", &value) == 1) {
      puts(ptrace(PTRACE_SEIZE, (pid_t)value, NULL, NULL) == 0 ? "done" : "failed");
    } else if (strcmp(line, "state\n") == 0) {
      printf("%ld %ld %ld\n", (long)faults, (long)rounds, (long)signals);
    } else {
      puts("what?");
    }
  }
  return 0;
}
