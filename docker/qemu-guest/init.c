/*
 * The only program of a small Linux guest: it writes to its memory without end, knows what each of
 * its pages has to hold, and says on the console what it finds.
 *
 * Every page holds its number, the generation of its last write and a checksum over both and the
 * rest, so that a page that is torn, stale or at another's place shows. The pages of the working set
 * are written at a given rate; the filler is written once and looks like text or like noise.
 *
 * The console:
 *   ready pages=N            all memory is written
 *   beat N                   the heartbeat, once a period; whoever reads it stamps its arrival
 *   fault page=N WHAT        a page is not what it has to be
 *   fault device WHAT        it has a device, or an address, that it cannot use
 *   verified pages=N faults=N writes=N    the answer to the line "verify"
 *   freed pages=N            the answer to the line "free": it has done with its noise
 *
 * With an address it is on the network as well: whatever a TCP client sends to port 7, it gets back.
 *
 * Settings come from the kernel's command line, which the kernel passes on as the environment:
 * pageferry_working, pageferry_text, pageferry_noise (MiB), pageferry_rate (pages a second),
 * pageferry_beat (microseconds), pageferry_address (ADDRESS/PREFIX of the first network card).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

#define PAGE 4096
#define WORDS (PAGE / 8)
#define HEADER 3
#define FAULTS_SHOWN 10
#define ECHO_PORT 7

/* Late work is given up beyond this many pages, so that a guest that stood still does not burst. */
#define MOST_WRITES_AT_ONCE 64

enum kind { WORKING, TEXT, NOISE };

static uint64_t *memory;
static uint32_t *generations;
static uint64_t working_pages, text_pages, pages;
static uint64_t faults, writes, beats;

static const char *const vocabulary[16] = {
    "the ", "guest ", "moves ", "while ", "it ", "runs, ", "and ", "every ",
    "page ", "of ", "its ", "memory ", "follows ", "in ", "order. ", "\n"};

static enum kind kind_of(uint64_t page) {
  return page < working_pages ? WORKING : page < working_pages + text_pages ? TEXT : NOISE;
}

static uint64_t checksum(const uint64_t *words, uint64_t page) {
  uint64_t sum = mixed(page + 1) ^ words[1];
  for (int i = HEADER; i < WORDS; i++) {
    sum = (sum << 5 | sum >> 59) + words[i];
  }
  return sum;
}

static void write_text(char *at, char *end, uint64_t state) {
  while (at < end) {
    const char *word = vocabulary[next(&state) >> 60];
    while (*word && at < end) {
      *at++ = *word++;
    }
  }
}

static void write_page(uint64_t page) {
  uint64_t *words = memory + page * WORDS;
  uint32_t generation = ++generations[page];
  uint64_t state = mixed(page << 32 | generation) | 1;
  /* Half of the working set is noise, the other half text: both kinds of changes have to travel. */
  if (kind_of(page) == TEXT || (kind_of(page) == WORKING && page % 2)) {
    write_text((char *)(words + HEADER), (char *)(words + WORDS), state);
  } else {
    for (int i = HEADER; i < WORDS; i++) {
      words[i] = next(&state);
    }
  }
  words[0] = page;
  words[1] = generation;
  words[2] = checksum(words, page);
}

static void check_page(uint64_t page) {
  const uint64_t *words = memory + page * WORDS;
  const char *what = NULL;
  if (words[0] != page) {
    what = "misplaced";
  } else if (words[1] != generations[page]) {
    what = "stale";
  } else if (words[2] != checksum(words, page)) {
    what = "torn";
  }
  if (what && faults++ < FAULTS_SHOWN) {
    printf("fault page=%llu %s number=%llu generation=%llu expected=%u\n",
           (unsigned long long)page, what, (unsigned long long)words[0],
           (unsigned long long)words[1], generations[page]);
  }
}

static void *reserve(size_t bytes) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) {
    puts("there is not enough memory for the working set and the filler");
    for (;;) {
      pause();
    }
  }
  return at;
}

/* Gives the noise back to the kernel, to which it is free memory then. */
static void free_noise(void) {
  uint64_t kept = working_pages + text_pages, freed = pages - kept;
  if (freed && munmap(memory + kept * WORDS, freed * PAGE) != 0) {
    freed = 0;
  }
  pages -= freed;
  printf("freed pages=%llu\n", (unsigned long long)freed);
}

static int set_address(int socket, unsigned long request, in_addr_t address) {
  struct ifreq card = {.ifr_name = "eth0"};
  struct sockaddr_in value = {.sin_family = AF_INET, .sin_addr.s_addr = address};
  memcpy(&card.ifr_addr, &value, sizeof value);
  return ioctl(socket, request, &card);
}

/* Gives the first network card its address, ADDRESS/PREFIX. */
static int bring_up(const char *network) {
  char text[INET_ADDRSTRLEN] = "";
  unsigned prefix = 24;
  struct in_addr address;
  if (sscanf(network, "%15[0-9.]/%u", text, &prefix) < 1 || prefix < 1 || prefix > 32 ||
      inet_pton(AF_INET, text, &address) != 1) {
    errno = EINVAL;
    return device_fault(network);
  }
  int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq card = {.ifr_name = "eth0", .ifr_flags = IFF_UP | IFF_RUNNING};
  int failed = socket_ < 0 || set_address(socket_, SIOCSIFADDR, address.s_addr) != 0 ||
               set_address(socket_, SIOCSIFNETMASK, htonl(~0u << (32 - prefix))) != 0 ||
               ioctl(socket_, SIOCSIFFLAGS, &card) != 0;
  if (failed) {
    device_fault("eth0");
  }
  close(socket_);
  return failed ? -1 : 0;
}

static void echo(int caller) {
  static char bytes[16384];
  int yes = 1;
  setsockopt(caller, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ssize_t got, put;
  while ((got = read(caller, bytes, sizeof bytes)) > 0) {
    for (char *at = bytes; got > 0; at += put, got -= put) {
      if ((put = write(caller, at, (size_t)got)) < 0) {
        return;
      }
    }
  }
}

/* Echoes to each caller in a process of its own. */
static void serve(int listener) {
  for (;;) {
    int caller = accept(listener, NULL, NULL);
    if (caller >= 0 && fork() == 0) {
      echo(caller);
      _exit(0);
    }
    close(caller);
  }
}

static void join_network(const char *network) {
  if (bring_up(network) != 0) {
    return;
  }
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(ECHO_PORT)};
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&any, sizeof any) != 0 ||
      listen(listener, 8) != 0) {
    device_fault("listen");
    return;
  }
  signal(SIGCHLD, SIG_IGN);
  if (fork() == 0) {
    serve(listener);
  }
  close(listener);
}

int main(void) {
  const char *network = getenv("pageferry_address");
  uint64_t period = setting("pageferry_beat", 1000) * 1000;
  uint64_t rate = setting("pageferry_rate", 5000);
  prepare_console();
  load_modules();
  if (network) {
    join_network(network);
  }
  working_pages = setting("pageferry_working", 32) << 8;
  text_pages = setting("pageferry_text", 32) << 8;
  pages = working_pages + text_pages + (setting("pageferry_noise", 32) << 8);
  memory = reserve(pages * PAGE);
  generations = reserve(pages * sizeof *generations);
  for (uint64_t page = 0; page < pages; page++) {
    write_page(page);
  }
  printf("ready pages=%llu\n", (unsigned long long)pages);

  uint64_t random = 0x9e3779b97f4a7c15u;
  uint64_t due = now(), owed = 0, verifying = 0, swept = 0;
  for (;;) {
    uint64_t time = now();
    if (time >= due) {
      printf("beat %llu\n", (unsigned long long)++beats);
      uint64_t late = time - due;
      due = late > period ? time + period : due + period;
      owed += rate * (period + late);
      uint64_t todo = owed / 1000000000u;
      owed %= 1000000000u;
      if (todo > MOST_WRITES_AT_ONCE) {
        todo = MOST_WRITES_AT_ONCE;
      }
      for (; working_pages && todo; todo--, writes++) {
        uint64_t page = next(&random) % working_pages;
        check_page(page);
        write_page(page);
      }
      /* One more, of all pages in turn, the filler included. */
      check_page(swept++ % pages);
      const char *line = beats % 8 == 0 ? heard() : NULL;
      if (line && strcmp(line, "verify") == 0) {
        verifying = pages;
      } else if (line && strcmp(line, "free") == 0) {
        free_noise();
        verifying = verifying < pages ? verifying : pages;
      }
    }
    if (verifying) {
      for (int i = 0; i < 4 && verifying; i++) {
        check_page(--verifying);
      }
      if (!verifying) {
        printf("verified pages=%llu faults=%llu writes=%llu\n", (unsigned long long)pages,
               (unsigned long long)faults, (unsigned long long)writes);
      }
    } else {
      struct timespec until = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
  }
}
