/*
 * A guest that is controlled by commands and knows nothing of Pageferry, for tests.
 *
 * Its memory is a file that it has mapped; its device state is a table with the generation of every
 * page, its clock and its random numbers. It writes to pages all the time, and checks each page
 * against that table before: a page that is stale, torn or not there does not go unnoticed, and
 * neither does a device state that is not the one of the moment at which the guest was paused.
 *
 * Build:  gcc -O2 -Wall -Wextra -Werror -pthread -o command_guest command_guest.c
 *
 * Run:    command_guest run SOCKET IMAGE BYTES [incoming]
 *         command_guest tell SOCKET pause|resume|status|verify|quit
 *         command_guest tell SOCKET save|load [FILE]      standard output or input without FILE
 *
 * status says running, paused, waiting, or ended if nobody answers at the socket. verify says
 * "ticks=N pages=N faults=N". Exit code: 0 done; 1 refused or failed; 2 wrong usage.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 8, PAUSE_US = 400 };
enum state { WAITING, PAUSED, RUNNING };

#define MAGIC UINT64_C(0x7365746174736d63)

struct registers {
  uint64_t magic, pages, ticks, random, faults;
};

static const char *socket_path;
static uint64_t *memory;
static struct registers registers = {.magic = MAGIC, .random = 88172645463325252u};
static uint64_t *generations;
static _Atomic enum state state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* whoever has it, no instruction runs */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void fail(const char *what) {
  fprintf(stderr, "command_guest: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t mixed(uint64_t page, uint64_t generation, uint64_t word) {
  uint64_t x = page * UINT64_C(0x9e3779b97f4a7c15) + generation * UINT64_C(0xbf58476d1ce4e5b9) + word;
  x ^= x >> 31;
  x *= UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 29);
}

static uint64_t expected(uint64_t page, uint64_t generation, uint64_t word) {
  if (generation == 0) return 0;
  return word == 0 ? page : word == 1 ? generation : mixed(page, generation, word);
}

static void write_page(uint64_t page, uint64_t generation) {
  for (uint64_t word = 0; word < WORDS; word++)
    memory[page * WORDS + word] = expected(page, generation, word);
  generations[page] = generation;
}

static bool page_is_right(uint64_t page) {
  for (uint64_t word = 0; word < WORDS; word++)
    if (memory[page * WORDS + word] != expected(page, generations[page], word)) return false;
  return true;
}

static void check(uint64_t page) {
  if (page_is_right(page)) return;
  if (registers.faults++ < 10)
    fprintf(stderr, "command_guest: page %llu is of generation %llu, not %llu, or torn\n",
            (unsigned long long)page, (unsigned long long)memory[page * WORDS + 1],
            (unsigned long long)generations[page]);
}

static void *execute(void *unused) {
  (void)unused;
  while (true) {
    pthread_mutex_lock(&lock);
    while (state != RUNNING) pthread_cond_wait(&changed, &lock);
    registers.random ^= registers.random << 13;
    registers.random ^= registers.random >> 7;
    registers.random ^= registers.random << 17;
    uint64_t page = registers.random % registers.pages;
    check(page);
    write_page(page, ++registers.ticks + 1);
    pthread_mutex_unlock(&lock);
    usleep(PAUSE_US);
  }
  return NULL;
}

static bool transfer(int fd, void *bytes, size_t length, bool out) {
  for (size_t at = 0; at < length;) {
    ssize_t n = out ? write(fd, (char *)bytes + at, length - at) : read(fd, (char *)bytes + at, length - at);
    if (n <= 0) return false;
    at += (size_t)n;
  }
  return true;
}

static void answer(int fd, const char *text) {
  transfer(fd, (void *)(uintptr_t)text, strlen(text), true);
}

static const char *name(enum state now) {
  return now == RUNNING ? "ok running\n" : now == PAUSED ? "ok paused\n" : "ok waiting\n";
}

static void load(int fd) {
  struct registers read_in;
  if (state != WAITING) {
    answer(fd, "error it does not wait for a state\n");
  } else if (!transfer(fd, &read_in, sizeof read_in, false) || read_in.magic != MAGIC ||
             read_in.pages != registers.pages ||
             !transfer(fd, generations, read_in.pages * sizeof *generations, false)) {
    answer(fd, "error that is no state of such a guest\n");
  } else {
    registers = read_in;
    check(0); /* as a device does that looks into memory when it comes back */
    state = PAUSED;
    answer(fd, "ok loaded\n");
  }
}

static void save(int fd) {
  if (state != PAUSED) {
    answer(fd, "error it is not paused\n");
    return;
  }
  answer(fd, "ok saved\n");
  transfer(fd, &registers, sizeof registers, true);
  transfer(fd, generations, registers.pages * sizeof *generations, true);
}

static void verify(int fd) {
  char text[128];
  for (uint64_t page = 0; page < registers.pages; page++) check(page);
  snprintf(text, sizeof text, "ok ticks=%llu pages=%llu faults=%llu\n",
           (unsigned long long)registers.ticks, (unsigned long long)registers.pages,
           (unsigned long long)registers.faults);
  answer(fd, text);
}

static void *serve(void *argument) {
  int fd = (int)(intptr_t)argument;
  char command[16] = "";
  for (size_t at = 0; at + 1 < sizeof command && read(fd, command + at, 1) == 1; at++) {
    if (command[at] == '\n') {
      command[at] = 0;
      break;
    }
  }
  if (strcmp(command, "status") == 0) {
    answer(fd, name(state)); /* also while the guest waits for a page */
  } else if (strcmp(command, "quit") == 0) {
    unlink(socket_path);
    answer(fd, "ok\n");
    exit(0);
  } else {
    pthread_mutex_lock(&lock);
    if (strcmp(command, "pause") == 0) {
      if (state == RUNNING) state = PAUSED;
      answer(fd, state == PAUSED ? "ok\n" : "error it waits for a state\n");
    } else if (strcmp(command, "resume") == 0) {
      if (state == PAUSED) state = RUNNING;
      pthread_cond_broadcast(&changed);
      answer(fd, state == RUNNING ? "ok\n" : "error it waits for a state\n");
    } else if (strcmp(command, "save") == 0) {
      save(fd);
    } else if (strcmp(command, "load") == 0) {
      load(fd);
    } else if (strcmp(command, "verify") == 0) {
      verify(fd);
    } else {
      answer(fd, "error no such command\n");
    }
    pthread_mutex_unlock(&lock);
  }
  close(fd);
  return NULL;
}

static struct sockaddr_un address(void) {
  struct sockaddr_un where = {.sun_family = AF_UNIX};
  if (strlen(socket_path) >= sizeof where.sun_path) {
    errno = ENAMETOOLONG;
    fail(socket_path);
  }
  strcpy(where.sun_path, socket_path);
  return where;
}

static void ended(int signal) {
  unlink(socket_path);
  _exit(128 + signal);
}

static _Noreturn void run(const char *image, uint64_t bytes, bool incoming) {
  int fd = open(image, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || (!incoming && ftruncate(fd, (off_t)bytes) < 0)) fail(image);
  memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) fail("mmap");
  registers.pages = bytes / PAGE;
  generations = calloc(registers.pages, sizeof *generations);
  if (generations == NULL) fail("memory");
  /* Every fourth page stays a hole until the guest comes to it. */
  for (uint64_t page = 0; !incoming && page < registers.pages; page++)
    if (page % 4 != 0) write_page(page, 1);
  state = incoming ? WAITING : RUNNING;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, ended);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un where = address();
  unlink(socket_path);
  if (listener < 0 || bind(listener, (struct sockaddr *)&where, sizeof where) < 0 ||
      listen(listener, 8) < 0)
    fail(socket_path);
  pthread_t thread;
  if (pthread_create(&thread, NULL, execute, NULL) != 0) fail("thread");
  while (true) {
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) fail("accept");
    if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)connection) != 0) fail("thread");
    pthread_detach(thread);
  }
}

static void copy(int from, int to) {
  char buffer[1 << 16];
  ssize_t n;
  while ((n = read(from, buffer, sizeof buffer)) > 0)
    if (!transfer(to, buffer, (size_t)n, true)) fail("write");
  if (n < 0) fail("read");
}

static int tell(const char *command, const char *file) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un where = address();
  if (fd < 0 || connect(fd, (struct sockaddr *)&where, sizeof where) < 0) {
    if (strcmp(command, "status") != 0) fail(socket_path);
    puts("ended");
    return 0;
  }
  answer(fd, command);
  answer(fd, "\n");
  if (strcmp(command, "load") == 0) {
    int from = file == NULL ? 0 : open(file, O_RDONLY);
    if (from < 0) fail(file);
    copy(from, fd);
    shutdown(fd, SHUT_WR);
  }
  char text[200] = "";
  for (size_t at = 0; at + 1 < sizeof text && read(fd, text + at, 1) == 1; at++) {
    if (text[at] == '\n') {
      text[at] = 0;
      break;
    }
  }
  if (strncmp(text, "ok", 2) != 0) {
    fprintf(stderr, "command_guest: %s\n", text[0] == 0 ? "no answer" : text + strlen("error "));
    return 1;
  }
  if (strcmp(command, "save") == 0) {
    int to = file == NULL ? 1 : open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (to < 0) fail(file);
    copy(fd, to);
  } else if (text[2] == ' ') {
    puts(text + 3);
  }
  return 0;
}

int main(int count, char **arguments) {
  if (count >= 5 && strcmp(arguments[1], "run") == 0) {
    socket_path = arguments[2];
    run(arguments[3], strtoull(arguments[4], NULL, 10), count > 5);
  }
  if (count >= 4 && strcmp(arguments[1], "tell") == 0) {
    socket_path = arguments[2];
    return tell(arguments[3], count > 4 ? arguments[4] : NULL);
  }
  fprintf(stderr, "command_guest: see the head of command_guest.c\n");
  return 2;
}
