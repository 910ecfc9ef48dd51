package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;

/**
 * The calls into the C library, one method a call. A call that fails throws {@link LinuxException}
 * with the errno captured in the same transition: read later, the JVM's own calls might have
 * changed it. Calls interrupted by a signal are repeated.
 *
 * <p>None of them is linked as critical: each can block, and a thread that blocks without a
 * safepoint state would stop the whole JVM.
 */
final class LinuxCalls {
  private static final Linker LINKER = Linker.nativeLinker();
  private static final StructLayout STATE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO = STATE.varHandle(PathElement.groupElement("errno"));
  private static final Linker.Option CAPTURE = Linker.Option.captureCallState("errno");
  private static final AddressLayout POINTER = ADDRESS;

  /** Where a thread's errno is captured; lives as long as the thread. */
  private static final ThreadLocal<MemorySegment> CAPTURED =
      ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(STATE));

  private static final MethodHandle OPEN =
      variadic("open", JAVA_INT, 2, POINTER, JAVA_INT, JAVA_INT);
  private static final MethodHandle CLOSE = call("close", JAVA_INT, JAVA_INT);
  private static final MethodHandle READ = call("read", JAVA_LONG, JAVA_INT, POINTER, JAVA_LONG);
  private static final MethodHandle PREAD =
      call("pread", JAVA_LONG, JAVA_INT, POINTER, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle PWRITE =
      call("pwrite", JAVA_LONG, JAVA_INT, POINTER, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle LSEEK = call("lseek", JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT);
  private static final MethodHandle FTRUNCATE = call("ftruncate", JAVA_INT, JAVA_INT, JAVA_LONG);
  private static final MethodHandle FALLOCATE =
      call("fallocate", JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle STATX =
      call("statx", JAVA_INT, JAVA_INT, POINTER, JAVA_INT, JAVA_INT, POINTER);
  private static final MethodHandle STATFS = call("statfs", JAVA_INT, POINTER, POINTER);
  private static final MethodHandle FCNTL =
      variadic("fcntl", JAVA_INT, 2, JAVA_INT, JAVA_INT, POINTER);
  private static final MethodHandle IOCTL_POINTER =
      variadic("ioctl", JAVA_INT, 2, JAVA_INT, JAVA_LONG, POINTER);
  private static final MethodHandle IOCTL_LONG =
      variadic("ioctl", JAVA_INT, 2, JAVA_INT, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle MMAP =
      call("mmap", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG);
  private static final MethodHandle MUNMAP = call("munmap", JAVA_INT, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle MADVISE =
      call("madvise", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
  private static final MethodHandle MEMFD_CREATE =
      call("memfd_create", JAVA_INT, POINTER, JAVA_INT);
  private static final MethodHandle SOCKET = call("socket", JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT);
  private static final MethodHandle BIND = call("bind", JAVA_INT, JAVA_INT, POINTER, JAVA_INT);
  private static final MethodHandle LISTEN = call("listen", JAVA_INT, JAVA_INT, JAVA_INT);
  private static final MethodHandle CONNECT =
      call("connect", JAVA_INT, JAVA_INT, POINTER, JAVA_INT);
  private static final MethodHandle ACCEPT4 =
      call("accept4", JAVA_INT, JAVA_INT, POINTER, POINTER, JAVA_INT);
  private static final MethodHandle GETSOCKOPT =
      call("getsockopt", JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, POINTER, POINTER);
  private static final MethodHandle SENDMSG =
      call("sendmsg", JAVA_LONG, JAVA_INT, POINTER, JAVA_INT);
  private static final MethodHandle RECVMSG =
      call("recvmsg", JAVA_LONG, JAVA_INT, POINTER, JAVA_INT);
  private static final MethodHandle POLL = call("poll", JAVA_INT, POINTER, JAVA_LONG, JAVA_INT);
  private static final MethodHandle MEMCPY =
      LINKER.downcallHandle(
          LINKER.defaultLookup().findOrThrow("memcpy"),
          FunctionDescriptor.of(POINTER, POINTER, POINTER, JAVA_LONG));
  private static final MethodHandle SYSCALL_2 =
      variadic("syscall", JAVA_LONG, 1, JAVA_LONG, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle SYSCALL_3 =
      variadic("syscall", JAVA_LONG, 1, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);

  private static final MethodHandle SCHED_SETSCHEDULER =
      call("sched_setscheduler", JAVA_INT, JAVA_INT, JAVA_INT, POINTER);

  private static final MethodHandle PTRACE =
      variadic("ptrace", JAVA_LONG, 1, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle WAITPID =
      call("waitpid", JAVA_INT, JAVA_INT, POINTER, JAVA_INT);
  private static final MethodHandle SETNS = call("setns", JAVA_INT, JAVA_INT, JAVA_INT);

  private LinuxCalls() {}

  private static MethodHandle call(String name, MemoryLayout result, MemoryLayout... arguments) {
    return LINKER.downcallHandle(
        LINKER.defaultLookup().findOrThrow(name),
        FunctionDescriptor.of(result, arguments),
        CAPTURE);
  }

  /**
   * A variadic call passes its arguments differently on some machines, and must say where they
   * begin.
   */
  private static MethodHandle variadic(
      String name, MemoryLayout result, int fixed, MemoryLayout... arguments) {
    List<Linker.Option> options = new ArrayList<>(List.of(CAPTURE));
    options.add(Linker.Option.firstVariadicArg(fixed));
    return LINKER.downcallHandle(
        LINKER.defaultLookup().findOrThrow(name),
        FunctionDescriptor.of(result, arguments),
        options.toArray(Linker.Option[]::new));
  }

  /** A call whose result is negative when it failed. */
  @FunctionalInterface
  private interface Attempt {
    long run(MemorySegment state) throws Throwable;
  }

  private static long attempt(Attempt attempt) {
    MemorySegment state = CAPTURED.get();
    try {
      while (true) {
        long result = attempt.run(state);
        if (result >= 0) {
          return result;
        }
        int errno = (int) ERRNO.get(state, 0L);
        if (errno != Errno.EINTR) {
          return -errno;
        }
      }
    } catch (Error | RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      // A downcall handle declares Throwable and throws nothing checked.
      throw new IllegalStateException(e);
    }
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
    return (int) attempt(s -> (int) OPEN.invokeExact(s, path, flags, mode));
  }

  /** Not repeated on EINTR: on Linux the descriptor is closed then, and may be somebody else's. */
  static void close(int descriptor) {
    try {
      int result = (int) CLOSE.invokeExact(CAPTURED.get(), descriptor);
      assert result == 0 || (int) ERRNO.get(CAPTURED.get(), 0L) != Errno.EBADF;
    } catch (Error | RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  static long read(int descriptor, MemorySegment buffer) {
    return attempt(s -> (long) READ.invokeExact(s, descriptor, buffer, buffer.byteSize()));
  }

  static long pread(int descriptor, MemorySegment buffer, long offset) {
    return attempt(s -> (long) PREAD.invokeExact(s, descriptor, buffer, buffer.byteSize(), offset));
  }

  static long pwrite(int descriptor, MemorySegment buffer, long offset) {
    return attempt(
        s -> (long) PWRITE.invokeExact(s, descriptor, buffer, buffer.byteSize(), offset));
  }

  static long lseek(int descriptor, long offset, int whence) {
    return attempt(s -> (long) LSEEK.invokeExact(s, descriptor, offset, whence));
  }

  static int ftruncate(int descriptor, long bytes) {
    return (int) attempt(s -> (int) FTRUNCATE.invokeExact(s, descriptor, bytes));
  }

  static int fallocate(int descriptor, int mode, long offset, long bytes) {
    return (int) attempt(s -> (int) FALLOCATE.invokeExact(s, descriptor, mode, offset, bytes));
  }

  static int statx(int descriptor, MemorySegment path, int flags, int mask, MemorySegment result) {
    return (int) attempt(s -> (int) STATX.invokeExact(s, descriptor, path, flags, mask, result));
  }

  static int statfs(MemorySegment path, MemorySegment result) {
    return (int) attempt(s -> (int) STATFS.invokeExact(s, path, result));
  }

  static int fcntl(int descriptor, int command, MemorySegment argument) {
    return (int) attempt(s -> (int) FCNTL.invokeExact(s, descriptor, command, argument));
  }

  static int ioctl(int descriptor, long request, MemorySegment argument) {
    return (int) attempt(s -> (int) IOCTL_POINTER.invokeExact(s, descriptor, request, argument));
  }

  static int ioctl(int descriptor, long request, long argument) {
    return (int) attempt(s -> (int) IOCTL_LONG.invokeExact(s, descriptor, request, argument));
  }

  /** Returns the address; an address is never negative in user space. */
  static long mmap(long bytes, int protection, int flags, int descriptor, long offset) {
    return attempt(
        s -> (long) MMAP.invokeExact(s, 0L, bytes, protection, flags, descriptor, offset));
  }

  static int munmap(long address, long bytes) {
    return (int) attempt(s -> (int) MUNMAP.invokeExact(s, address, bytes));
  }

  static int madvise(long address, long bytes, int advice) {
    return (int) attempt(s -> (int) MADVISE.invokeExact(s, address, bytes, advice));
  }

  /** Copies bytes while the thread counts as being outside of the JVM. */
  static void memcpy(MemorySegment to, MemorySegment from, long bytes) {
    try {
      MemorySegment same = (MemorySegment) MEMCPY.invokeExact(to, from, bytes);
      assert same.address() == to.address();
    } catch (Error | RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  static int memfdCreate(MemorySegment name, int flags) {
    return (int) attempt(s -> (int) MEMFD_CREATE.invokeExact(s, name, flags));
  }

  static int socket(int family, int type) {
    return (int) attempt(s -> (int) SOCKET.invokeExact(s, family, type, 0));
  }

  static int bind(int descriptor, MemorySegment address) {
    return (int)
        attempt(s -> (int) BIND.invokeExact(s, descriptor, address, (int) address.byteSize()));
  }

  static int listen(int descriptor, int backlog) {
    return (int) attempt(s -> (int) LISTEN.invokeExact(s, descriptor, backlog));
  }

  static int connect(int descriptor, MemorySegment address) {
    return (int)
        attempt(s -> (int) CONNECT.invokeExact(s, descriptor, address, (int) address.byteSize()));
  }

  static int accept(int descriptor, int flags) {
    return (int)
        attempt(
            s ->
                (int)
                    ACCEPT4.invokeExact(
                        s, descriptor, MemorySegment.NULL, MemorySegment.NULL, flags));
  }

  static int getsockopt(int descriptor, int option, MemorySegment value, MemorySegment length) {
    return (int)
        attempt(
            s ->
                (int) GETSOCKOPT.invokeExact(s, descriptor, Abi.SOL_SOCKET, option, value, length));
  }

  static long sendmsg(int descriptor, MemorySegment message, int flags) {
    return attempt(s -> (long) SENDMSG.invokeExact(s, descriptor, message, flags));
  }

  static long recvmsg(int descriptor, MemorySegment message, int flags) {
    return attempt(s -> (long) RECVMSG.invokeExact(s, descriptor, message, flags));
  }

  static int poll(MemorySegment descriptors, int count, int millis) {
    return (int) attempt(s -> (int) POLL.invokeExact(s, descriptors, (long) count, millis));
  }

  static int userfaultfd(int flags) {
    return (int)
        attempt(s -> (long) SYSCALL_2.invokeExact(s, Abi.SYS_USERFAULTFD, (long) flags, 0L));
  }

  static int pidfdOpen(int pid) {
    return (int) attempt(s -> (long) SYSCALL_2.invokeExact(s, Abi.SYS_PIDFD_OPEN, (long) pid, 0L));
  }

  static int pidfdGetfd(int pidfd, int descriptor) {
    return (int)
        attempt(
            s ->
                (long)
                    SYSCALL_3.invokeExact(
                        s, Abi.SYS_PIDFD_GETFD, (long) pidfd, (long) descriptor, 0L));
  }

  /** Of the calling thread. */
  static int schedSetscheduler(int policy, MemorySegment parameter) {
    return (int) attempt(s -> (int) SCHED_SETSCHEDULER.invokeExact(s, 0, policy, parameter));
  }

  /** For requests that answer with 0; those that peek answer otherwise in the C library. */
  static int ptrace(int request, int thread, long address, long data) {
    return (int) attempt(s -> (long) PTRACE.invokeExact(s, request, thread, address, data));
  }

  static int waitpid(int thread, MemorySegment status, int options) {
    return (int) attempt(s -> (int) WAITPID.invokeExact(s, thread, status, options));
  }

  static int setns(int namespace, int kind) {
    return (int) attempt(s -> (int) SETNS.invokeExact(s, namespace, kind));
  }
}
