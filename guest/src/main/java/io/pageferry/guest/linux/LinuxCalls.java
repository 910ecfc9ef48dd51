package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;

/**
 * The calls into the C library, one method a call. A call that fails throws {@link LinuxException}
 * with the errno captured in the same transition: read later, the JVM's own calls might have
 * changed it. Calls interrupted by a signal are repeated.
 *
 * <p>What takes its pointers at the same place is linked as the same kind of function, with whole
 * registers for numbers: each kind takes a young virtual machine milliseconds, and one for each
 * call took a tenth of a second. System V on x86-64 and AAPCS64 pass the first six arguments in
 * registers, of which a function reads as many and as much as it takes, declared variadic or not.
 * An int that is returned is in the lower half of its register, so it is cut off before it is
 * looked at.
 *
 * <p>None of them is linked as critical: each can block, and a thread that blocks without a
 * safepoint state would stop the whole JVM.
 */
final class LinuxCalls {
  private static final Linker LINKER = Linker.nativeLinker();
  private static final StructLayout STATE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO = STATE.varHandle(PathElement.groupElement("errno"));
  private static final Linker.Option CAPTURE = Linker.Option.captureCallState("errno");

  /** Where a thread's errno is captured; lives as long as the thread. */
  private static final ThreadLocal<MemorySegment> CAPTURED =
      ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(STATE));

  private static final MethodHandle NUMBERS =
      kind(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle POINTER_FIRST = kind(ADDRESS, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle POINTER_SECOND = kind(JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle POINTER_THIRD = kind(JAVA_LONG, JAVA_LONG, ADDRESS);
  private static final MethodHandle POINTERS_FIRST = kind(ADDRESS, ADDRESS, JAVA_LONG);
  private static final MethodHandle POINTERS_SECOND_AND_FIFTH =
      kind(JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS);
  private static final MethodHandle POINTERS_FOURTH =
      kind(JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS);

  private static final MemorySegment OPEN = function("open");
  private static final MemorySegment CLOSE = function("close");
  private static final MemorySegment READ = function("read");
  private static final MemorySegment PREAD = function("pread");
  private static final MemorySegment PWRITE = function("pwrite");
  private static final MemorySegment LSEEK = function("lseek");
  private static final MemorySegment FTRUNCATE = function("ftruncate");
  private static final MemorySegment FALLOCATE = function("fallocate");
  private static final MemorySegment STATX = function("statx");
  private static final MemorySegment STATFS = function("statfs");
  private static final MemorySegment FCNTL = function("fcntl");
  private static final MemorySegment IOCTL = function("ioctl");
  private static final MemorySegment MMAP = function("mmap");
  private static final MemorySegment MUNMAP = function("munmap");
  private static final MemorySegment MADVISE = function("madvise");
  private static final MemorySegment MEMFD_CREATE = function("memfd_create");
  private static final MemorySegment MEMCPY = function("memcpy");
  private static final MemorySegment SOCKET = function("socket");
  private static final MemorySegment BIND = function("bind");
  private static final MemorySegment LISTEN = function("listen");
  private static final MemorySegment CONNECT = function("connect");
  private static final MemorySegment ACCEPT4 = function("accept4");
  private static final MemorySegment GETSOCKOPT = function("getsockopt");
  private static final MemorySegment SENDMSG = function("sendmsg");
  private static final MemorySegment RECVMSG = function("recvmsg");
  private static final MemorySegment POLL = function("poll");
  private static final MemorySegment SYSCALL = function("syscall");
  private static final MemorySegment SCHED_SETSCHEDULER = function("sched_setscheduler");
  private static final MemorySegment NICE = function("nice");
  private static final MemorySegment PTRACE = function("ptrace");
  private static final MemorySegment WAITPID = function("waitpid");
  private static final MemorySegment SETNS = function("setns");

  private LinuxCalls() {}

  private static MethodHandle kind(MemoryLayout... arguments) {
    return LINKER.downcallHandle(FunctionDescriptor.of(JAVA_LONG, arguments), CAPTURE);
  }

  private static MemorySegment function(String name) {
    return LINKER.defaultLookup().findOrThrow(name);
  }

  /** A call whose result is negative when it failed. */
  @FunctionalInterface
  private interface Attempt {
    long run(MemorySegment state) throws Throwable;
  }

  /** Returns the call's result, or the negated errno. */
  private static long attempt(Attempt attempt) {
    while (true) {
      long result = once(attempt);
      if (result >= 0) {
        return result;
      }
      int errno = errno();
      if (errno != Errno.EINTR) {
        return -errno;
      }
    }
  }

  /** The same for a call that returns an int: what else is in its register is nothing. */
  private static int attemptInt(Attempt attempt) {
    return (int) attempt(state -> (int) attempt.run(state));
  }

  /** Returns the call's result. */
  private static long once(Attempt attempt) {
    try {
      return attempt.run(CAPTURED.get());
    } catch (Error | RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      // A downcall handle declares Throwable and throws nothing checked.
      throw new IllegalStateException(e);
    }
  }

  /** Of this thread's last call. */
  private static int errno() {
    return (int) ERRNO.get(CAPTURED.get(), 0L);
  }

  /** Fails when {@code result} is a negated errno. */
  static long check(long result, String call) throws LinuxException {
    if (result < 0) {
      throw new LinuxException((int) -result, call);
    }
    return result;
  }

  // Each of these returns the call's result, or the negated errno.

  static int open(MemorySegment path, int flags, int mode) {
    return attemptInt(
        s -> (long) POINTER_FIRST.invokeExact(OPEN, s, path, (long) flags, (long) mode));
  }

  /** Not repeated on EINTR: on Linux the descriptor is closed then, and may be somebody else's. */
  static void close(int descriptor) {
    long result =
        once(s -> (long) NUMBERS.invokeExact(CLOSE, s, (long) descriptor, 0L, 0L, 0L, 0L, 0L));
    assert (int) result == 0 || errno() != Errno.EBADF;
  }

  static long read(int descriptor, MemorySegment buffer) {
    return attempt(
        s ->
            (long)
                POINTER_SECOND.invokeExact(
                    READ, s, (long) descriptor, buffer, buffer.byteSize(), 0L));
  }

  static long pread(int descriptor, MemorySegment buffer, long offset) {
    return attempt(
        s ->
            (long)
                POINTER_SECOND.invokeExact(
                    PREAD, s, (long) descriptor, buffer, buffer.byteSize(), offset));
  }

  static long pwrite(int descriptor, MemorySegment buffer, long offset) {
    return attempt(
        s ->
            (long)
                POINTER_SECOND.invokeExact(
                    PWRITE, s, (long) descriptor, buffer, buffer.byteSize(), offset));
  }

  static long lseek(int descriptor, long offset, int whence) {
    return attempt(
        s ->
            (long)
                NUMBERS.invokeExact(
                    LSEEK, s, (long) descriptor, offset, (long) whence, 0L, 0L, 0L));
  }

  static int ftruncate(int descriptor, long bytes) {
    return attemptInt(
        s -> (long) NUMBERS.invokeExact(FTRUNCATE, s, (long) descriptor, bytes, 0L, 0L, 0L, 0L));
  }

  static int fallocate(int descriptor, int mode, long offset, long bytes) {
    return attemptInt(
        s ->
            (long)
                NUMBERS.invokeExact(
                    FALLOCATE, s, (long) descriptor, (long) mode, offset, bytes, 0L, 0L));
  }

  static int statx(int descriptor, MemorySegment path, int flags, int mask, MemorySegment result) {
    return attemptInt(
        s ->
            (long)
                POINTERS_SECOND_AND_FIFTH.invokeExact(
                    STATX, s, (long) descriptor, path, (long) flags, (long) mask, result));
  }

  static int statfs(MemorySegment path, MemorySegment result) {
    return attemptInt(s -> (long) POINTERS_FIRST.invokeExact(STATFS, s, path, result, 0L));
  }

  static int fcntl(int descriptor, int command, MemorySegment argument) {
    return attemptInt(
        s ->
            (long)
                POINTER_THIRD.invokeExact(FCNTL, s, (long) descriptor, (long) command, argument));
  }

  static int ioctl(int descriptor, long request, MemorySegment argument) {
    return attemptInt(
        s -> (long) POINTER_THIRD.invokeExact(IOCTL, s, (long) descriptor, request, argument));
  }

  static int ioctl(int descriptor, long request, long argument) {
    return attemptInt(
        s ->
            (long) NUMBERS.invokeExact(IOCTL, s, (long) descriptor, request, argument, 0L, 0L, 0L));
  }

  /** Returns the address; an address is never negative in user space. */
  static long mmap(long bytes, int protection, int flags, int descriptor, long offset) {
    return attempt(
        s ->
            (long)
                NUMBERS.invokeExact(
                    MMAP,
                    s,
                    0L,
                    bytes,
                    (long) protection,
                    (long) flags,
                    (long) descriptor,
                    offset));
  }

  static int munmap(long address, long bytes) {
    return attemptInt(s -> (long) NUMBERS.invokeExact(MUNMAP, s, address, bytes, 0L, 0L, 0L, 0L));
  }

  static int madvise(long address, long bytes, int advice) {
    return attemptInt(
        s -> (long) NUMBERS.invokeExact(MADVISE, s, address, bytes, (long) advice, 0L, 0L, 0L));
  }

  /** Copies bytes while the thread counts as being outside of the JVM. */
  static void memcpy(MemorySegment to, MemorySegment from, long bytes) {
    long same = once(s -> (long) POINTERS_FIRST.invokeExact(MEMCPY, s, to, from, bytes));
    assert same == to.address();
  }

  static int memfdCreate(MemorySegment name, int flags) {
    return attemptInt(
        s -> (long) POINTER_FIRST.invokeExact(MEMFD_CREATE, s, name, (long) flags, 0L));
  }

  static int socket(int family, int type) {
    return attemptInt(
        s -> (long) NUMBERS.invokeExact(SOCKET, s, (long) family, (long) type, 0L, 0L, 0L, 0L));
  }

  static int bind(int descriptor, MemorySegment address) {
    return attemptInt(
        s ->
            (long)
                POINTER_SECOND.invokeExact(
                    BIND, s, (long) descriptor, address, address.byteSize(), 0L));
  }

  static int listen(int descriptor, int backlog) {
    return attemptInt(
        s ->
            (long)
                NUMBERS.invokeExact(LISTEN, s, (long) descriptor, (long) backlog, 0L, 0L, 0L, 0L));
  }

  static int connect(int descriptor, MemorySegment address) {
    return attemptInt(
        s ->
            (long)
                POINTER_SECOND.invokeExact(
                    CONNECT, s, (long) descriptor, address, address.byteSize(), 0L));
  }

  static int accept(int descriptor, int flags) {
    return attemptInt(
        s ->
            (long)
                NUMBERS.invokeExact(ACCEPT4, s, (long) descriptor, 0L, 0L, (long) flags, 0L, 0L));
  }

  static int getsockopt(int descriptor, int option, MemorySegment value, MemorySegment length) {
    return attemptInt(
        s ->
            (long)
                POINTERS_FOURTH.invokeExact(
                    GETSOCKOPT,
                    s,
                    (long) descriptor,
                    (long) Abi.SOL_SOCKET,
                    (long) option,
                    value,
                    length));
  }

  static long sendmsg(int descriptor, MemorySegment message, int flags) {
    return attempt(
        s ->
            (long)
                POINTER_SECOND.invokeExact(
                    SENDMSG, s, (long) descriptor, message, (long) flags, 0L));
  }

  static long recvmsg(int descriptor, MemorySegment message, int flags) {
    return attempt(
        s ->
            (long)
                POINTER_SECOND.invokeExact(
                    RECVMSG, s, (long) descriptor, message, (long) flags, 0L));
  }

  static int poll(MemorySegment descriptors, int count, int millis) {
    return attemptInt(
        s -> (long) POINTER_FIRST.invokeExact(POLL, s, descriptors, (long) count, (long) millis));
  }

  static int userfaultfd(int flags) {
    return (int) syscall(Abi.SYS_USERFAULTFD, flags, 0, 0);
  }

  static int pidfdOpen(int pid) {
    return (int) syscall(Abi.SYS_PIDFD_OPEN, pid, 0, 0);
  }

  static int pidfdGetfd(int pidfd, int descriptor) {
    return (int) syscall(Abi.SYS_PIDFD_GETFD, pidfd, descriptor, 0);
  }

  private static long syscall(long number, long first, long second, long third) {
    return attempt(
        s -> (long) NUMBERS.invokeExact(SYSCALL, s, number, first, second, third, 0L, 0L));
  }

  /** Of the calling thread. */
  static int schedSetscheduler(int policy, MemorySegment parameter) {
    return attemptInt(
        s -> (long) POINTER_THIRD.invokeExact(SCHED_SETSCHEDULER, s, 0L, (long) policy, parameter));
  }

  /** Of the calling thread, on Linux; more than there is is as much as there is. */
  static void nice(int increment) {
    // What comes back may be -1 and no failure, and nobody is refused to be nicer.
    var _ = once(s -> (long) NUMBERS.invokeExact(NICE, s, (long) increment, 0L, 0L, 0L, 0L, 0L));
  }

  /** For requests that answer with 0; those that peek answer otherwise in the C library. */
  static int ptrace(int request, int thread, long address, long data) {
    return (int)
        attempt(
            s ->
                (long)
                    NUMBERS.invokeExact(
                        PTRACE, s, (long) request, (long) thread, address, data, 0L, 0L));
  }

  static int waitpid(int thread, MemorySegment status, int options) {
    return attemptInt(
        s ->
            (long)
                POINTER_SECOND.invokeExact(WAITPID, s, (long) thread, status, (long) options, 0L));
  }

  static int setns(int namespace, int kind) {
    return attemptInt(
        s -> (long) NUMBERS.invokeExact(SETNS, s, (long) namespace, (long) kind, 0L, 0L, 0L, 0L));
  }
}
