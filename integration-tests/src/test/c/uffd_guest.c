/*
 * A guest that hands its memory over as Firecracker does, for tests of the target agent.
 *
 * Like Firecracker when it loads a snapshot with the memory backend "Uffd": it maps anonymous
 * private memory, makes a userfaultfd (non-blocking; for faults in the kernel too, unless that is
 * not permitted; EVENT_REMOVE and nothing else), registers all of it in missing mode, connects to
 * the handler's socket, sends one JSON message with the descriptor, and touches memory before the
 * load is done. Unlike Firecracker it is steered by the few QMP commands that the agents use, and
 * what it executes is a check: every page that came must be what the source had, every page that it
 * gave back must be zero and stay so, every page that it wrote must keep what it wrote.
 *
 * Build:  gcc -O2 -Wall -Wextra -Werror -pthread -o uffd_guest uffd_guest.c
 *
 * Run:    uffd_guest --memory BYTES[,BYTES...] --qmp SOCKET --handover SOCKET --rule RULE
 *                    [--remove FIRST:COUNT]... [--threads N] [--touch-at-load N] [--pause-us N]
 *                    [--message KIND]
 *
 *   --memory    one region each, multiples of 4096; they must be those of the guest description
 *   --qmp       where to answer QMP (made anew)
 *   --handover  where the target agent listens ("handover:" in the guest description); connected to
 *               while the state is loaded, tried again for 10 s
 *   --rule      demo:SEED          pages of the Java demo guest started with that --seed: zero, or
 *                                  with the right number and checksum
 *               file:PATH[,PATH..] byte for byte what is in these files, one a region (the image of
 *                                  the paused source; read when a page is checked)
 *               none               anything
 *   --remove    pages, numbered through all regions, to give back by madvise(MADV_DONTNEED) once the
 *               guest runs; of every second range the first page is checked, and so fetched, before
 *   --threads   how many check pages at the same time, in an order all over the memory; 4
 *   --touch-at-load  pages touched before the load is done, spread over the memory; 3
 *   --message   how the handover's message is: whole, empty, truncated, no-descriptor,
 *               two-descriptors, overlapping or unaligned; whole
 *   --pause-us  pause of a thread between two pages, so that pushed pages come first; 0
 *
 * The description for it, on the target:
 *
 *   name: peer
 *   memory: [{ name: ram, size: 64M }]
 *   control: { qmp: /tmp/x/peer.sock }
 *   handover: /tmp/x/uffd.sock
 *   launch: [ /tmp/x/uffd_guest, --memory, "67108864", --qmp, /tmp/x/peer.sock,
 *             --handover, /tmp/x/uffd.sock, --rule, "demo:1" ]
 *
 * It answers qmp_capabilities, migrate-set-capabilities, query-commands, query-status, query-migrate,
 * migrate-incoming (any state is taken and thrown away), cont, stop, x-pageferry-ticks,
 * x-pageferry-verify (waits until the check is done) and quit.
 *
 * When all is checked it prints one line, and the same line again when it ends:
 *
 *   uffd_guest: done pages=16384 checked=16000 zero=2100 removed=384 written=16000 faults=0
 *
 * Exit code: 0 all was right; 1 it could not start or load; 2 wrong usage; 3 something was wrong
 * (the first ten things are on standard error); 4 told to quit before the check was done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

enum { PAGE = 4096, MAX_REGIONS = 64, MAX_RANGES = 256, MAX_THREADS = 64 };

struct region {
  char *base;
  uint64_t pages;
  uint64_t first; /* counted through all regions */
  int file;
};

struct range {
  uint64_t first, count;
};

enum rule { RULE_NONE, RULE_DEMO, RULE_FILE };
enum state { INMIGRATE, PAUSED, RUNNING };
enum message { WHOLE, EMPTY, TRUNCATED, NO_DESCRIPTOR, TWO_DESCRIPTORS, OVERLAPPING, UNALIGNED };

static struct region regions[MAX_REGIONS];
static int region_count;
static uint64_t page_count;
static enum rule rule = RULE_NONE;
static uint64_t seed;
static struct range ranges[MAX_RANGES];
static int range_count;
static int thread_count = 4;
static uint64_t touch_at_load = 3;
static long pause_us;
static const char *qmp_path, *handover_path;
static enum message message_kind = WHOLE;
static int uffd = -1, handover_socket = -1;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static enum state state = INMIGRATE; /* guarded by lock, as the next three */
static const char *migration = "none";
static char migration_error[256];
static int at_work; /* threads that are not held by stop */
static bool started, done;
static atomic_bool running;

static _Atomic uint64_t next_index, checked, zero_pages, removed_pages, written, faults, operations;
static char first_fault[512];
static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what) {
  fprintf(stderr, "uffd_guest: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void usage(const char *what) {
  fprintf(stderr, "uffd_guest: %s; see the head of uffd_guest.c\n", what);
  exit(2);
}

static void wrong(const char *format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  pthread_mutex_lock(&fault_lock);
  uint64_t before = atomic_fetch_add(&faults, 1);
  if (before == 0) snprintf(first_fault, sizeof first_fault, "%s", text);
  if (before < 10) fprintf(stderr, "uffd_guest: %s\n", text);
  pthread_mutex_unlock(&fault_lock);
}

static void summary(const char *word) {
  printf("uffd_guest: %s pages=%llu checked=%llu zero=%llu removed=%llu written=%llu faults=%llu\n",
         word, (unsigned long long)page_count, (unsigned long long)checked,
         (unsigned long long)zero_pages, (unsigned long long)removed_pages,
         (unsigned long long)written, (unsigned long long)faults);
  fflush(stdout);
}

/* ---- what a page must be ---- */

static const uint64_t P1 = 0x9E3779B185EBCA87ull, P2 = 0xC2B2AE3D27D4EB4Full,
                      P3 = 0x165667B19E3779F9ull, P4 = 0x27D4EB2F165667C5ull;

static uint64_t rotl(uint64_t x, int n) { return x << n | x >> (64 - n); }

static uint64_t mix(uint64_t z) {
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ z >> 27) * 0x94D049BB133111EBull;
  return z ^ z >> 31;
}

/* As io.pageferry.guest.demo.PageFormat computes it. */
static uint64_t demo_checksum(const uint64_t *page) {
  uint64_t a = seed ^ page[0], b = P2 ^ page[1], c = P3 ^ page[3], d = ~seed;
  for (int at = 4; at < PAGE / 8; at += 4) {
    a = rotl(a ^ page[at], 27) * P1;
    b = rotl(b ^ page[at + 1], 27) * P2;
    c = rotl(c ^ page[at + 2], 27) * P3;
    d = rotl(d ^ page[at + 3], 27) * P4;
  }
  return mix(mix(mix(mix(a) ^ b) ^ c) ^ d);
}

static bool is_zero(const uint64_t *page) {
  for (int i = 0; i < PAGE / 8; i++)
    if (page[i] != 0) return false;
  return true;
}

static struct region *region_of(uint64_t page) {
  int i = region_count - 1;
  while (page < regions[i].first) i--;
  return &regions[i];
}

static volatile char *address(uint64_t page) {
  struct region *region = region_of(page);
  return region->base + (page - region->first) * PAGE;
}

/* Touches the page (and waits for it) and compares it with the rule. */
static void check(uint64_t page) {
  (void)*address(page);
  uint64_t copy[PAGE / 8], expected[PAGE / 8];
  memcpy(copy, (const char *)address(page), PAGE);
  bool zero = is_zero(copy);
  if (zero) atomic_fetch_add(&zero_pages, 1);
  atomic_fetch_add(&checked, 1);
  if (rule == RULE_DEMO && !zero) {
    if (copy[0] != page)
      wrong("page %llu holds page %llu", (unsigned long long)page, (unsigned long long)copy[0]);
    else if (copy[2] != demo_checksum(copy))
      wrong("page %llu is torn: its checksum does not match", (unsigned long long)page);
  } else if (rule == RULE_FILE) {
    struct region *region = region_of(page);
    off_t offset = (off_t)((page - region->first) * PAGE);
    if (pread(region->file, expected, PAGE, offset) != PAGE)
      wrong("page %llu cannot be read from the file", (unsigned long long)page);
    else if (memcmp(copy, expected, PAGE) != 0)
      wrong("page %llu is not what the file has%s", (unsigned long long)page,
            zero ? ": it is zero (lost)" : "");
  }
}

static uint64_t mark(uint64_t page) { return mix(page + 1) | 1; }

static void write_mark(uint64_t page) {
  *(volatile uint64_t *)address(page) = mark(page);
  atomic_fetch_add(&written, 1);
}

static void must_be_zero(uint64_t page, const char *when) {
  (void)*address(page);
  if (!is_zero((const uint64_t *)address(page)))
    wrong("page %llu, which was given back, is not zero %s", (unsigned long long)page, when);
}

static bool is_removed(uint64_t page) {
  for (int i = 0; i < range_count; i++)
    if (page >= ranges[i].first && page < ranges[i].first + ranges[i].count) return true;
  return false;
}

/* ---- execution ---- */

static void hold_while_stopped(void) {
  if (atomic_load(&running)) return;
  pthread_mutex_lock(&lock);
  at_work--;
  pthread_cond_broadcast(&changed);
  while (!atomic_load(&running)) pthread_cond_wait(&changed, &lock);
  at_work++;
  pthread_mutex_unlock(&lock);
}

static void works(int threads) {
  pthread_mutex_lock(&lock);
  at_work += threads;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static void *check_pages(void *unused) {
  (void)unused;
  uint64_t slots = 1;
  while (slots < page_count) slots *= 2;
  for (;;) {
    uint64_t index = atomic_fetch_add(&next_index, 1);
    if (index >= slots) break;
    uint64_t page = (index * 0x9E3779B1ull + 12345) & (slots - 1);
    if (page >= page_count || is_removed(page)) continue;
    hold_while_stopped();
    check(page);
    write_mark(page);
    atomic_fetch_add(&operations, 1);
    if (pause_us > 0) usleep((useconds_t)pause_us);
  }
  return NULL;
}

static void *give_back(void *unused) {
  (void)unused;
  for (int i = 0; i < range_count; i++) {
    hold_while_stopped();
    if (i % 2 == 1) check(ranges[i].first);
    for (uint64_t page = ranges[i].first; page < ranges[i].first + ranges[i].count;) {
      struct region *region = region_of(page);
      uint64_t end = ranges[i].first + ranges[i].count;
      if (end > region->first + region->pages) end = region->first + region->pages;
      if (madvise((void *)address(page), (end - page) * PAGE, MADV_DONTNEED) != 0)
        wrong("madvise: %s", strerror(errno));
      for (uint64_t given = page; given < end; given++) must_be_zero(given, "at once");
      atomic_fetch_add(&removed_pages, end - page);
      page = end;
    }
  }
  return NULL;
}

static void *execute(void *unused) {
  (void)unused;
  pthread_t threads[MAX_THREADS + 1];
  for (int i = 0; i < thread_count; i++)
    if (pthread_create(&threads[i], NULL, check_pages, NULL) != 0) fail("thread");
  if (pthread_create(&threads[thread_count], NULL, give_back, NULL) != 0) fail("thread");
  for (int i = 0; i <= thread_count; i++) {
    pthread_join(threads[i], NULL);
    works(-1);
  }
  works(1);
  /* Once more over all of it: whatever came twice must not have undone anything. */
  for (uint64_t page = 0; page < page_count; page++) {
    hold_while_stopped();
    if (is_removed(page))
      must_be_zero(page, "in the end");
    else if (*(volatile uint64_t *)address(page) != mark(page))
      wrong("page %llu has lost what the guest wrote", (unsigned long long)page);
  }
  summary("done");
  works(-1);
  pthread_mutex_lock(&lock);
  done = true;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  return NULL;
}

/* ---- memory and its handover ---- */

static void map_memory(void) {
  for (int i = 0; i < region_count; i++) {
    regions[i].base = mmap(NULL, regions[i].pages * PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (regions[i].base == MAP_FAILED) fail("mmap");
  }
  uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
  if (uffd < 0 && errno == EPERM) {
    fprintf(stderr, "uffd_guest: not permitted to watch faults in the kernel, only those in user"
                    " mode (Firecracker would refuse)\n");
    uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
  }
  if (uffd < 0) fail("userfaultfd");
  struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE};
  if (ioctl(uffd, UFFDIO_API, &api) != 0) fail("UFFDIO_API");
  for (int i = 0; i < region_count; i++) {
    struct uffdio_register watch = {
        .range = {.start = (uintptr_t)regions[i].base, .len = regions[i].pages * PAGE},
        .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(uffd, UFFDIO_REGISTER, &watch) != 0) fail("UFFDIO_REGISTER");
  }
}

static struct sockaddr_un socket_address(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) usage("a socket's path is too long");
  strcpy(address.sun_path, path);
  return address;
}

/* One message, one descriptor, and the socket stays open. Returns what went wrong. */
static const char *hand_over(void) {
  char json[16384];
  size_t length = 0;
  length += (size_t)snprintf(json, sizeof json, "[");
  for (int i = 0; i < region_count; i++)
    length += (size_t)snprintf(
        json + length, sizeof json - length,
        "%s{\"base_host_virt_addr\":%llu,\"size\":%llu,\"offset\":%llu,\"page_size\":%d,"
        "\"page_size_kib\":%d}",
        i == 0 ? "" : ",",
        (unsigned long long)(uintptr_t)regions[i].base + (message_kind == UNALIGNED ? 1 : 0),
        (unsigned long long)regions[i].pages * PAGE, (unsigned long long)regions[i].first * PAGE,
        PAGE, PAGE);
  if (message_kind == OVERLAPPING)
    length += (size_t)snprintf(json + length, sizeof json - length,
                               ",{\"base_host_virt_addr\":%llu,\"size\":%d,\"offset\":%llu}",
                               (unsigned long long)(uintptr_t)regions[0].base, PAGE,
                               (unsigned long long)page_count * PAGE);
  length += (size_t)snprintf(json + length, sizeof json - length, "]");
  if (message_kind == TRUNCATED) length -= 10;

  struct sockaddr_un address = socket_address(handover_path);
  handover_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (handover_socket < 0) return "no socket";
  int tries = 0;
  while (connect(handover_socket, (struct sockaddr *)&address, sizeof address) != 0) {
    if (++tries > 500) return "nobody listens for the handover";
    usleep(20000);
  }
  if (message_kind == EMPTY) {
    shutdown(handover_socket, SHUT_WR);
    return NULL;
  }
  int descriptors[2] = {uffd, uffd};
  size_t sent = (message_kind == TWO_DESCRIPTORS ? 2 : 1) * sizeof(int);
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(2 * sizeof(int))];
  } control = {0};
  struct iovec payload = {.iov_base = json, .iov_len = length};
  struct msghdr message = {.msg_iov = &payload,
                           .msg_iovlen = 1,
                           .msg_control = control.room,
                           .msg_controllen = CMSG_SPACE(sent)};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sent);
  memcpy(CMSG_DATA(header), descriptors, sent);
  if (message_kind == NO_DESCRIPTOR) {
    message.msg_control = NULL;
    message.msg_controllen = 0;
  }
  if (sendmsg(handover_socket, &message, MSG_NOSIGNAL) != (ssize_t)length) return "cannot hand over";
  if (message_kind == TRUNCATED) shutdown(handover_socket, SHUT_WR);
  return NULL;
}

static void migrated(const char *error) {
  pthread_mutex_lock(&lock);
  if (error == NULL) {
    state = PAUSED;
    migration = "completed";
  } else {
    fprintf(stderr, "uffd_guest: %s\n", error);
    snprintf(migration_error, sizeof migration_error, "%s", error);
    migration = "failed";
  }
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static void *load(void *argument) {
  int listener = (int)(intptr_t)argument;
  char state_bytes[65536];
  int connection = accept(listener, NULL, NULL);
  close(listener);
  if (connection < 0) {
    migrated("nobody sent the state");
    return NULL;
  }
  while (read(connection, state_bytes, sizeof state_bytes) > 0) {
  }
  close(connection);
  const char *error = hand_over();
  if (error == NULL) {
    /* As Firecracker does before its load call returns: whoever serves faults must do so by now. */
    for (uint64_t i = 0; i < touch_at_load; i++)
      (void)*address((page_count - 1) * i / (touch_at_load > 1 ? touch_at_load - 1 : 1));
  }
  migrated(error);
  return NULL;
}

/* ---- QMP ---- */

/* The text of "key":"text" in a line of JSON as the agents write it; false if it is not there. */
static bool text_of(const char *line, const char *key, char *text, size_t room) {
  char pattern[64];
  snprintf(pattern, sizeof pattern, "\"%s\"", key);
  const char *at = strstr(line, pattern);
  if (at == NULL) return false;
  at += strlen(pattern);
  while (*at == ' ' || *at == ':') at++;
  if (*at++ != '"') return false;
  size_t length = 0;
  while (*at != 0 && *at != '"' && length + 1 < room) {
    if (*at == '\\' && at[1] != 0) at++;
    text[length++] = *at++;
  }
  text[length] = 0;
  return *at == '"';
}

/* The id as it was written, with a comma before it, to be put into the answer. */
static void id_of(const char *line, char *id, size_t room) {
  id[0] = 0;
  const char *at = strstr(line, "\"id\"");
  if (at == NULL) return;
  size_t length = strcspn(at, ",}\r\n");
  if (length + 2 < room) snprintf(id, room, ",%.*s", (int)length, at);
}

static void answer_error(FILE *out, const char *kind, const char *text, const char *id) {
  fprintf(out, "{\"error\":{\"class\":\"%s\",\"desc\":\"%s\"}%s}\r\n", kind, text, id);
}

static void answer_ticks(FILE *out, const char *id, bool verified) {
  static struct timespec start;
  static uint64_t before, rate;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double seconds = (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9;
  if (seconds >= 0.1) {
    rate = start.tv_sec == 0 ? 0 : (uint64_t)((double)(operations - before) / seconds);
    before = operations;
    start = now;
  }
  pthread_mutex_lock(&fault_lock);
  fprintf(out,
          "{\"return\":{\"running\":%s,\"ticks\":%llu,\"handoverGapMicros\":0,"
          "\"longestGapMicros\":0,\"operations\":%llu,\"operationsPerSecond\":%llu,"
          "\"pagesChecked\":%llu,\"faultsFound\":%llu,\"firstFault\":%s%s%s,\"pagesVerified\":%llu}"
          "%s}\r\n",
          atomic_load(&running) ? "true" : "false", (unsigned long long)operations,
          (unsigned long long)operations, (unsigned long long)rate, (unsigned long long)checked,
          (unsigned long long)faults, faults == 0 ? "" : "\"", faults == 0 ? "null" : first_fault,
          faults == 0 ? "" : "\"", (unsigned long long)(verified ? page_count : 0), id);
  pthread_mutex_unlock(&fault_lock);
}

static void answer_incoming(FILE *out, const char *line, const char *id) {
  char uri[256];
  pthread_mutex_lock(&lock);
  bool waits = state == INMIGRATE && strcmp(migration, "active") != 0;
  pthread_mutex_unlock(&lock);
  if (!waits) {
    answer_error(out, "GenericError", "the guest has its state", id);
    return;
  }
  if (!text_of(line, "uri", uri, sizeof uri) || strncmp(uri, "unix:", 5) != 0) {
    answer_error(out, "GenericError", "the guest knows addresses of the form unix:PATH only", id);
    return;
  }
  struct sockaddr_un address = socket_address(uri + 5);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(listener, 1) != 0) {
    answer_error(out, "GenericError", "cannot listen there", id);
    return;
  }
  pthread_mutex_lock(&lock);
  migration = "active";
  pthread_mutex_unlock(&lock);
  pthread_t loader;
  if (pthread_create(&loader, NULL, load, (void *)(intptr_t)listener) != 0) fail("thread");
  pthread_detach(loader);
  fprintf(out, "{\"return\":{}%s}\r\n", id);
}

static bool resume(void) {
  pthread_mutex_lock(&lock);
  bool possible = state != INMIGRATE;
  if (possible && state == PAUSED) {
    state = RUNNING;
    atomic_store(&running, true);
    if (!started) {
      started = true;
      at_work = thread_count + 1;
      pthread_t executor;
      if (pthread_create(&executor, NULL, execute, NULL) != 0) fail("thread");
      pthread_detach(executor);
    }
    pthread_cond_broadcast(&changed);
  }
  pthread_mutex_unlock(&lock);
  return possible;
}

/* Returns when no thread touches memory any more; one that waits for a page is waited for. */
static void stop(void) {
  pthread_mutex_lock(&lock);
  if (state == RUNNING) {
    atomic_store(&running, false);
    state = PAUSED;
    while (at_work > 0) pthread_cond_wait(&changed, &lock);
  }
  pthread_mutex_unlock(&lock);
}

/* Answers one line; true for quit. */
static bool answer(FILE *out, const char *line) {
  char command[64], id[64];
  id_of(line, id, sizeof id);
  if (!text_of(line, "execute", command, sizeof command)) {
    answer_error(out, "GenericError", "a command has the key 'execute' with a text", id);
    return false;
  }
  if (strcmp(command, "qmp_capabilities") == 0 || strcmp(command, "migrate-set-capabilities") == 0) {
    fprintf(out, "{\"return\":{}%s}\r\n", id);
  } else if (strcmp(command, "query-commands") == 0) {
    fprintf(out, "{\"return\":[]%s}\r\n", id);
  } else if (strcmp(command, "query-status") == 0) {
    pthread_mutex_lock(&lock);
    fprintf(out, "{\"return\":{\"running\":%s,\"status\":\"%s\"}%s}\r\n",
            state == RUNNING ? "true" : "false",
            state == RUNNING ? "running" : state == PAUSED ? "paused" : "inmigrate", id);
    pthread_mutex_unlock(&lock);
  } else if (strcmp(command, "query-migrate") == 0) {
    pthread_mutex_lock(&lock);
    if (strcmp(migration, "none") == 0)
      fprintf(out, "{\"return\":{}%s}\r\n", id);
    else if (strcmp(migration, "failed") == 0)
      fprintf(out, "{\"return\":{\"status\":\"failed\",\"error-desc\":\"%s\"}%s}\r\n",
              migration_error, id);
    else
      fprintf(out, "{\"return\":{\"status\":\"%s\"}%s}\r\n", migration, id);
    pthread_mutex_unlock(&lock);
  } else if (strcmp(command, "migrate-incoming") == 0) {
    answer_incoming(out, line, id);
  } else if (strcmp(command, "cont") == 0) {
    if (resume())
      fprintf(out, "{\"return\":{}%s}\r\n", id);
    else
      answer_error(out, "GenericError", "the guest waits for migrate-incoming and cannot run yet", id);
  } else if (strcmp(command, "stop") == 0) {
    stop();
    fprintf(out, "{\"return\":{}%s}\r\n", id);
  } else if (strcmp(command, "x-pageferry-ticks") == 0) {
    answer_ticks(out, id, false);
  } else if (strcmp(command, "x-pageferry-verify") == 0) {
    pthread_mutex_lock(&lock);
    while (!done) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    answer_ticks(out, id, true);
  } else if (strcmp(command, "quit") == 0) {
    fprintf(out, "{\"return\":{}%s}\r\n", id);
    return true;
  } else {
    answer_error(out, "CommandNotFound", "The command has not been found", id);
  }
  return false;
}

static void serve(void) {
  struct sockaddr_un address = socket_address(qmp_path);
  unlink(qmp_path);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) fail("socket");
  mode_t before = umask(0177);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) fail(qmp_path);
  umask(before);
  if (listen(listener, 4) != 0) fail(qmp_path);
  printf("uffd_guest: ready, %llu pages at %d region%s\n", (unsigned long long)page_count,
         region_count, region_count == 1 ? "" : "s");
  fflush(stdout);
  for (;;) {
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      fail("accept");
    }
    FILE *in = fdopen(connection, "r");
    FILE *out = fdopen(dup(connection), "w");
    if (in == NULL || out == NULL) fail("fdopen");
    fprintf(out, "{\"QMP\":{\"version\":{\"qemu\":{\"major\":0,\"minor\":1,\"micro\":0},"
                 "\"package\":\"uffd_guest\"},\"capabilities\":[]}}\r\n");
    fflush(out);
    char *line = NULL;
    size_t room = 0;
    bool quit = false;
    while (!quit && getline(&line, &room, in) > 0) {
      if (line[strspn(line, " \t\r\n")] == 0) continue;
      quit = answer(out, line);
      fflush(out);
    }
    free(line);
    fclose(in);
    fclose(out);
    if (quit) return;
  }
}

/* ---- command line ---- */

static uint64_t number(const char *text, char **end) {
  errno = 0;
  uint64_t value = strtoull(text, end, 10);
  if (errno != 0 || *end == text) usage("a number is missing");
  return value;
}

static void take_memory(char *text) {
  for (;;) {
    char *end;
    uint64_t bytes = number(text, &end);
    if (bytes == 0 || bytes % PAGE != 0) usage("a region is a positive multiple of 4096 bytes");
    if (region_count == MAX_REGIONS) usage("too many regions");
    regions[region_count++] = (struct region){.pages = bytes / PAGE, .first = page_count, .file = -1};
    page_count += bytes / PAGE;
    if (*end == 0) return;
    if (*end != ',') usage("--memory is BYTES[,BYTES...]");
    text = end + 1;
  }
}

static char *rule_text;

static void take_rule(void) {
  if (strncmp(rule_text, "demo:", 5) == 0) {
    rule = RULE_DEMO;
    seed = strtoull(rule_text + 5, NULL, 10);
  } else if (strncmp(rule_text, "file:", 5) == 0) {
    rule = RULE_FILE;
    int i = 0;
    for (char *path = strtok(rule_text + 5, ","); path != NULL; path = strtok(NULL, ",")) {
      if (i == region_count) usage("more files than regions");
      regions[i].file = open(path, O_RDONLY | O_CLOEXEC);
      if (regions[i++].file < 0) fail(path);
    }
    if (i < region_count) usage("fewer files than regions");
  } else if (strcmp(rule_text, "none") != 0) {
    usage("--rule is demo:SEED, file:PATH[,PATH...] or none");
  }
}

static void take_range(char *text) {
  char *end;
  if (range_count == MAX_RANGES) usage("too many --remove");
  struct range *range = &ranges[range_count++];
  range->first = number(text, &end);
  if (*end != ':') usage("--remove is FIRST:COUNT");
  range->count = number(end + 1, &end);
  if (*end != 0 || range->count == 0) usage("--remove is FIRST:COUNT");
}

static void take_message(const char *text) {
  static const char *const kinds[] = {"whole",           "empty",       "truncated", "no-descriptor",
                                      "two-descriptors", "overlapping", "unaligned"};
  for (message_kind = WHOLE; message_kind <= UNALIGNED; message_kind++)
    if (strcmp(text, kinds[message_kind]) == 0) return;
  usage("there is no such --message");
}

int main(int count, char **arguments) {
  rule_text = NULL;
  for (int i = 1; i < count; i += 2) {
    const char *option = arguments[i];
    if (i + 1 == count) usage("an option lacks its value");
    char *value = arguments[i + 1];
    if (strcmp(option, "--memory") == 0) take_memory(value);
    else if (strcmp(option, "--qmp") == 0) qmp_path = value;
    else if (strcmp(option, "--handover") == 0) handover_path = value;
    else if (strcmp(option, "--rule") == 0) rule_text = value;
    else if (strcmp(option, "--remove") == 0) take_range(value);
    else if (strcmp(option, "--threads") == 0) thread_count = atoi(value);
    else if (strcmp(option, "--touch-at-load") == 0) touch_at_load = strtoull(value, NULL, 10);
    else if (strcmp(option, "--message") == 0) take_message(value);
    else if (strcmp(option, "--pause-us") == 0) pause_us = atol(value);
    else usage(option);
  }
  if (region_count == 0 || qmp_path == NULL || handover_path == NULL || rule_text == NULL)
    usage("--memory, --qmp, --handover and --rule are needed");
  if (thread_count < 1 || thread_count > MAX_THREADS) usage("--threads is 1 to 64");
  for (int i = 0; i < range_count; i++)
    if (ranges[i].first + ranges[i].count > page_count) usage("--remove is beyond the memory");
  take_rule();
  map_memory();
  serve();
  summary(done ? "end" : "quit");
  unlink(qmp_path);
  /* Threads may be waiting for pages that nobody brings: no orderly end. */
  _exit(faults != 0 ? 3 : done ? 0 : 4);
}
