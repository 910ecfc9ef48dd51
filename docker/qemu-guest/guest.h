/* What the programs of the small Linux guests have in common: settings, time, numbers by a seed,
 * the console, and modules of the kernel. */
#ifndef PAGEFERRY_GUEST_H
#define PAGEFERRY_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* A setting of the kernel's command line, which the kernel passes on as the environment. */
static uint64_t setting(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* A number that looks random and is the same each time. */
static uint64_t mixed(uint64_t value) {
  value ^= value >> 30;
  value *= 0xbf58476d1ce4e5b9u;
  value ^= value >> 27;
  value *= 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

/* The next of a sequence; its state must not be 0. */
static uint64_t next(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* The next line that somebody has written on the console, or NULL if there is none yet. It is good
 * until this is asked again. */
static const char *heard(void) {
  static char line[64];
  static size_t length;
  char c;
  while (read(STDIN_FILENO, &c, 1) == 1) {
    if (c == '\n' || c == '\r') {
      line[length] = 0;
      length = 0;
      return line;
    }
    if (length < sizeof line - 1) {
      line[length++] = c;
    }
  }
  return NULL;
}

static void prepare_console(void) {
  struct termios console;
  setvbuf(stdout, NULL, _IOLBF, 1024);
  if (tcgetattr(STDIN_FILENO, &console) == 0) {
    console.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    console.c_oflag &= ~(tcflag_t)OPOST;
    tcsetattr(STDIN_FILENO, TCSANOW, &console);
  }
  fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
}

static int device_fault(const char *what) {
  printf("fault device %s: %s\n", what, strerror(errno));
  return -1;
}

/* What drives virtio's devices is not built into every kernel. The modules are numbered in the order
 * in which they need each other. */
static void load_modules(void) {
  char path[32];
  for (int i = 0;; i++) {
    snprintf(path, sizeof path, "/modules/%d", i);
    int module = open(path, O_RDONLY | O_CLOEXEC);
    if (module < 0) {
      return;
    }
    if (syscall(SYS_finit_module, module, "", 0) != 0) {
      device_fault(path);
    }
    close(module);
  }
}

#endif
