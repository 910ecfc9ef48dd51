/*
 * The first program of a small Linux guest that runs a database: it starts the distribution's Redis,
 * fills it with records, and is its client from then on, at a given rate and by a seed.
 *
 * A record is the JSON of a customer, some 400 to 900 bytes. Keys are asked for as in YCSB: by
 * Zipf's law (0.99), the frequent ones scattered over all. An update replaces the record by its next
 * version, in which what a visit changes is different and now and then the customer's note. Each
 * answer is compared with what has to be there.
 *
 * The console:
 *   ready records=N          all records are there
 *   beat N                   so many operations were done, said once a period
 *   fault WHAT               the server failed, or said something else than what it was told
 *   fault device WHAT        it has a device that it cannot use
 *   verified records=N faults=N operations=N    the answer to the line "verify"
 *
 * Settings come from the kernel's command line: pageferry_records, pageferry_rate (operations a
 * second), pageferry_reads (of 100), pageferry_seed, pageferry_beat (microseconds).
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "guest.h"

#define SOCKET "/redis.sock"
#define SKEW 0.99
#define LONGEST_RECORD 2048
#define FAULTS_SHOWN 10

/* Operations on their way at once; late work is given up beyond it, so that a guest that stood still
 * does not burst. */
#define MOST_AT_ONCE 64

#define COUNT(list) (sizeof list / sizeof *list)

static const char *const first_names[] = {
    "Anna",  "Ben",    "Clara", "David", "Elena", "Felix",  "Greta", "Hugo",  "Ida",   "Jonas",
    "Klara", "Lukas",  "Mara",  "Nils",  "Olga",  "Paul",   "Rosa",  "Simon", "Tilda", "Viktor",
    "Amir",  "Beatriz", "Chen", "Dilip", "Emeka", "Fatima", "Goran", "Hana",  "Ivan",  "Joana"};
static const char *const last_names[] = {
    "Keller",  "Novak",   "Rossi",    "Larsen", "Dubois", "Garcia",   "Weber",    "Silva",
    "Kowalski", "Jansen", "Moreau",   "Haas",   "Lindqvist", "Okafor", "Tanaka",  "Petrov",
    "Schulz",  "Martin",  "Virtanen", "Costa",  "Brandt", "Ferrari",  "Horvat",   "Nguyen"};
static const char *const streets[] = {"Lindenstr.", "Hauptstr.", "Rue Pasteur", "Via Roma",
                                      "Mill Lane",  "Station Rd", "Calle Mayor", "Parkweg"};
static const char *const cities[] = {"Berlin", "Lyon",   "Torino", "Leeds", "Sevilla", "Utrecht",
                                     "Graz",   "Aarhus", "Porto",  "Gdansk", "Turku",  "Gent"};
static const char *const domains[] = {"example.org", "example.net", "mail.example.com",
                                      "post.example.eu"};
/* The more frequent first. */
static const char *const words[] = {
    "the",      "to",       "and",      "of",        "a",        "in",        "for",      "is",
    "on",       "with",     "was",      "not",       "at",       "be",        "by",       "from",
    "has",      "customer", "order",    "asked",     "that",     "it",        "will",     "please",
    "delivery", "call",     "back",     "before",    "after",    "no",        "only",     "invoice",
    "paid",     "address",  "new",      "old",       "changed",  "ring",      "leave",    "parcel",
    "neighbour", "morning", "evening",  "Monday",    "Tuesday",  "Wednesday", "Thursday", "Friday",
    "weekend",  "returned", "item",     "size",      "colour",   "blue",      "green",    "black",
    "white",    "red",      "refund",   "voucher",   "code",     "sent",      "again",    "twice",
    "prefers",  "email",    "phone",    "letter",    "account",  "closed",    "opened",   "since",
    "spring",   "summer",   "autumn",   "winter",    "discount", "agreed",    "manager",  "office",
    "private",  "company",  "tax",      "number",    "missing",  "received",  "damaged",  "box",
    "replaced", "warehouse", "stock",   "late",      "early",    "week",      "month",    "year",
    "shipping", "express",  "standard", "pickup",    "store",    "branch",    "card",     "bank",
    "transfer", "reminder", "first",    "second",    "third",    "final",     "notice",   "language",
    "German",   "French",   "English",  "Spanish",   "Dutch",    "Polish",    "speaks",   "wants",
    "catalogue", "newsletter", "unsubscribed", "interested", "garden", "kitchen", "bicycle", "books",
    "shoes",    "jacket",   "lamp",     "table",     "chair",    "tools",     "paint",    "camera",
    "printer",  "paper",    "music",    "concert",   "tickets",  "travel",    "insurance", "warranty",
    "expires",  "extended", "repair",   "serial",    "broken",   "screen",    "battery",  "cable",
    "adapter",  "wrong",    "plug",     "manual",    "download", "password",  "reset",    "locked",
    "review",   "stars",    "happy",    "angry",     "complaint", "solved",   "pending",  "escalated"};

static uint64_t records, faults, operations;
static uint32_t *versions;
static int server = -1;

static __attribute__((format(printf, 1, 2))) void fault(const char *what, ...) {
  if (faults++ < FAULTS_SHOWN) {
    va_list arguments;
    va_start(arguments, what);
    fputs("fault ", stdout);
    vprintf(what, arguments);
    putchar('\n');
    va_end(arguments);
  }
}

/* Nothing more can come of this guest. */
static void end(const char *what) {
  printf("fault %s: %s\n", what, strerror(errno));
  for (;;) {
    pause();
  }
}

/* ---- records ---- */

#define PICK(list, state) ((list)[next(state) % COUNT(list)])

static size_t write_note(char *at, size_t room, uint64_t state) {
  size_t length = 0;
  for (uint64_t left = 20 + next(&state) % 60; left; left--) {
    /* The square prefers the small ones. */
    uint64_t x = next(&state) % 1000;
    const char *word = words[x * x * COUNT(words) / 1000000];
    length += (size_t)snprintf(at + length, room - length, "%s%s", word,
                               left == 1 ? "." : next(&state) % 9 ? " " : ", ");
  }
  return length;
}

/* What has to be in a record. Returns its length. */
static size_t write_record(char *at, uint64_t record, uint32_t version) {
  uint64_t who = mixed(record + 1) | 1, visit = mixed(~(record << 32 | version)) | 1;
  const char *first = PICK(first_names, &who), *last = PICK(last_names, &who);
  const size_t room = LONGEST_RECORD;
  size_t length = (size_t)snprintf(
      at, room,
      "{\"id\":%llu,\"name\":\"%s %s\",\"email\":\"%s.%s%u@%s\",\"phone\":\"+49 %u %u\","
      "\"address\":{\"street\":\"%s %u\",\"zip\":\"%05u\",\"city\":\"%s\"},"
      "\"since\":\"20%02u-%02u-%02uT%02u:%02u:%02uZ\",",
      (unsigned long long)record, first, last, first, last, (unsigned)(next(&who) % 100),
      PICK(domains, &who), (unsigned)(next(&who) % 900 + 30), (unsigned)(next(&who) % 9000000 + 1000000),
      PICK(streets, &who), (unsigned)(next(&who) % 200 + 1), (unsigned)(next(&who) % 90000 + 10000),
      PICK(cities, &who), (unsigned)(next(&who) % 20 + 5), (unsigned)(next(&who) % 12 + 1),
      (unsigned)(next(&who) % 28 + 1), (unsigned)(next(&who) % 24), (unsigned)(next(&who) % 60),
      (unsigned)(next(&who) % 60));
  length += (size_t)snprintf(
      at + length, room - length,
      "\"visits\":%u,\"balance\":%u.%02u,\"seen\":\"2026-%02u-%02uT%02u:%02u:%02uZ\","
      "\"session\":\"%016llx%016llx\",\"cart\":[",
      (unsigned)(record % 50) + version, (unsigned)(next(&visit) % 5000), (unsigned)(next(&visit) % 100),
      (unsigned)(next(&visit) % 12 + 1), (unsigned)(next(&visit) % 28 + 1),
      (unsigned)(next(&visit) % 24), (unsigned)(next(&visit) % 60), (unsigned)(next(&visit) % 60),
      (unsigned long long)next(&visit), (unsigned long long)next(&visit));
  uint64_t items = next(&visit) % 5;
  for (uint64_t item = 0; item < items; item++) {
    length += (size_t)snprintf(at + length, room - length, "%s{\"sku\":\"P-%05u\",\"n\":%u}",
                               item ? "," : "", (unsigned)(next(&visit) % 100000),
                               (unsigned)(next(&visit) % 3 + 1));
  }
  length += (size_t)snprintf(at + length, room - length, "],\"note\":\"");
  length += write_note(at + length, room - length, mixed(record * 31 + version / 8) | 1);
  return length + (size_t)snprintf(at + length, room - length, "\"}");
}

/* ---- which record is next: Gray et al., "Quickly generating billion-record synthetic databases" -- */

static double zeta_all, zeta_two, eta;

static void prepare_skew(void) {
  for (uint64_t rank = 1; rank <= records; rank++) {
    zeta_all += pow((double)rank, -SKEW);
    if (rank == 2) {
      zeta_two = zeta_all;
    }
  }
  eta = (1 - pow(2.0 / (double)records, 1 - SKEW)) / (1 - zeta_two / zeta_all);
}

static uint64_t skewed(uint64_t *random) {
  double u = (double)(next(random) >> 11) / 9007199254740992.0;
  double uz = u * zeta_all;
  uint64_t rank = uz < 1                  ? 0
                  : uz < 1 + pow(0.5, SKEW) ? 1
                                            : (uint64_t)((double)records * pow(eta * u - eta + 1, 1 / (1 - SKEW)));
  return mixed(rank + 7) % records;
}

/* ---- the server ---- */

static void start_server(void) {
  static char *const arguments[] = {
      "redis-server", "--port",  "0",  "--unixsocket", SOCKET,       "--save",     "",
      "--appendonly", "no",      "--dir", "/",         "--logfile", "/redis.log", NULL};
  static char *const environment[] = {NULL};
  if (fork() == 0) {
    execve("/bin/redis-server", arguments, environment);
    _exit(127);
  }
}

static int connect_once(void) {
  struct sockaddr_un there = {.sun_family = AF_UNIX, .sun_path = SOCKET};
  int opened = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (opened >= 0 && connect(opened, (struct sockaddr *)&there, sizeof there) == 0) {
    return opened;
  }
  close(opened);
  return -1;
}

static void connect_server(void) {
  while ((server = connect_once()) < 0) {
    if (waitpid(-1, NULL, WNOHANG) > 0) {
      errno = ECHILD;
      end("the server does not start");
    }
    usleep(20000);
  }
}

static char out[MOST_AT_ONCE * (LONGEST_RECORD + 128)];
static size_t out_length;
static char in[65536];
static size_t in_length, in_taken;

static void flush(void) {
  for (size_t put = 0; put < out_length;) {
    ssize_t count = write(server, out + put, out_length - put);
    if (count <= 0) {
      end("the server is gone");
    }
    put += (size_t)count;
  }
  out_length = 0;
}

static char take(void) {
  if (in_taken == in_length) {
    ssize_t count = read(server, in, sizeof in);
    if (count <= 0) {
      end("the server is gone");
    }
    in_length = (size_t)count;
    in_taken = 0;
  }
  return in[in_taken++];
}

/* Reads an answer; returns the length of what it holds, or -1 for nothing. */
static ssize_t take_answer(char *into, char *kind) {
  char line[256];
  size_t length = 0;
  *kind = take();
  for (char c; (c = take()) != '\n';) {
    if (c != '\r' && length < sizeof line - 1) {
      line[length++] = c;
    }
  }
  line[length] = 0;
  if (*kind != '$') {
    memcpy(into, line, length + 1);
    return (ssize_t)length;
  }
  long bytes = strtol(line, NULL, 10);
  for (long i = 0; i < bytes + 2 && bytes >= 0; i++) {
    char c = take();
    if (i < bytes && i < LONGEST_RECORD - 1) {
      into[i] = c;
    }
  }
  return bytes;
}

static void ask_get(uint64_t record) {
  char key[32];
  int length = snprintf(key, sizeof key, "customer:%llu", (unsigned long long)record);
  out_length += (size_t)sprintf(out + out_length, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", length, key);
}

static void ask_set(uint64_t record, uint32_t version) {
  char key[32], value[LONGEST_RECORD];
  int length = snprintf(key, sizeof key, "customer:%llu", (unsigned long long)record);
  size_t bytes = write_record(value, record, version);
  out_length += (size_t)sprintf(out + out_length, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%zu\r\n%s\r\n", length,
                                key, bytes, value);
}

static void expect_stored(uint64_t record) {
  static char answer[LONGEST_RECORD];
  char kind;
  ssize_t length = take_answer(answer, &kind);
  if (kind != '+' || length != 2) {
    fault("record=%llu was not stored: %c%.80s", (unsigned long long)record, kind, answer);
  }
}

static void expect_record(uint64_t record, uint32_t version) {
  static char answer[LONGEST_RECORD], value[LONGEST_RECORD];
  char kind;
  ssize_t length = take_answer(answer, &kind);
  size_t bytes = write_record(value, record, version);
  if (kind != '$' || length != (ssize_t)bytes || memcmp(answer, value, bytes) != 0) {
    fault("record=%llu version=%u is not what was stored", (unsigned long long)record, version);
  }
}

/* ---- the client ---- */

struct operation {
  uint64_t record;
  uint32_t version;
  int write;
};

static void run(struct operation *batch, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    if (batch[i].write) {
      ask_set(batch[i].record, batch[i].version);
    } else {
      ask_get(batch[i].record);
    }
  }
  flush();
  for (uint64_t i = 0; i < count; i++) {
    if (batch[i].write) {
      expect_stored(batch[i].record);
    } else {
      expect_record(batch[i].record, batch[i].version);
    }
  }
}

static void serve(uint64_t *random, uint64_t count, uint64_t reads) {
  static struct operation batch[MOST_AT_ONCE];
  for (uint64_t i = 0; i < count; i++) {
    uint64_t record = skewed(random);
    int write = next(random) % 100 >= reads;
    batch[i] = (struct operation){record, write ? ++versions[record] : versions[record], write};
  }
  run(batch, count);
  operations += count;
}

/* All records from this one on, a batch of them. Returns where to go on. */
static uint64_t walk(uint64_t from, int write) {
  static struct operation batch[MOST_AT_ONCE];
  uint64_t count = 0;
  for (; count < MOST_AT_ONCE && from + count < records; count++) {
    batch[count] = (struct operation){from + count, versions[from + count], write};
  }
  run(batch, count);
  return from + count;
}

int main(void) {
  records = setting("pageferry_records", 20000);
  uint64_t rate = setting("pageferry_rate", 1000), reads = setting("pageferry_reads", 95);
  uint64_t period = setting("pageferry_beat", 10000) * 1000;
  uint64_t random = mixed(setting("pageferry_seed", 1) + 1) | 1;
  prepare_console();
  mkdir("/proc", 0755);
  mkdir("/dev", 0755);
  if (mount("proc", "/proc", "proc", 0, NULL) != 0 || mount("dev", "/dev", "devtmpfs", 0, NULL) != 0) {
    end("mount");
  }
  load_modules();
  signal(SIGPIPE, SIG_IGN);
  versions = calloc(records, sizeof *versions);
  if (!versions) {
    end("the versions of the records");
  }
  start_server();
  prepare_skew();
  connect_server();
  for (uint64_t record = 0; record < records;) {
    record = walk(record, 1);
  }
  printf("ready records=%llu\n", (unsigned long long)records);

  uint64_t due = now(), last = due, owed = 0, verifying = records + 1;
  for (uint64_t beats = 0;;) {
    uint64_t time = now();
    if (time >= due) {
      due = time - due > period ? time + period : due + period;
      owed += rate * (time - last);
      last = time;
      uint64_t todo = owed / 1000000000u;
      owed %= 1000000000u;
      serve(&random, todo > MOST_AT_ONCE ? MOST_AT_ONCE : todo, reads);
      printf("beat %llu\n", (unsigned long long)operations);
      const char *line = ++beats % 8 == 0 ? heard() : NULL;
      if (line && strcmp(line, "verify") == 0) {
        verifying = 0;
      }
    }
    if (verifying < records) {
      verifying = walk(verifying, 0);
    } else if (verifying == records) {
      printf("verified records=%llu faults=%llu operations=%llu\n", (unsigned long long)records,
             (unsigned long long)faults, (unsigned long long)operations);
      verifying++;
    } else {
      struct timespec until = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
  }
}
