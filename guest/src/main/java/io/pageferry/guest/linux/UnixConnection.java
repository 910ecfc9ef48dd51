package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A connected Unix stream socket that carries descriptors. The JDK's channels drop them.
 *
 * <p>Any thread may use and close it.
 */
public final class UnixConnection implements AutoCloseable {
  /** So many descriptors are taken with one message; a sender that passes more is refused. */
  private static final int DESCRIPTORS = 8;

  private final Descriptor descriptor;

  UnixConnection(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /** Who is at the other end, as the kernel noted it when they connected or listened. */
  public record Peer(int pid, int uid) {}

  /**
   * What one receive brought.
   *
   * @param bytes empty at the end of the stream
   * @param descriptors the receiver owns and closes them
   * @param truncated whether the kernel had to drop descriptors
   */
  public record Received(ByteBuffer bytes, List<Descriptor> descriptors, boolean truncated) {}

  static Descriptor newSocket() throws LinuxException {
    return Descriptor.of(
        LinuxCalls.socket(Abi.AF_UNIX, Abi.SOCK_STREAM | Abi.SOCK_CLOEXEC | Abi.SOCK_NONBLOCK),
        "socket(AF_UNIX)");
  }

  static MemorySegment address(Arena arena, Path path) throws LinuxException {
    byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
    if (name.length >= Abi.SOCKADDR_UN_BYTES - Abi.SOCKADDR_UN_PATH) {
      throw new LinuxException(Errno.ENAMETOOLONG, "socket " + path);
    }
    MemorySegment address = arena.allocate(Abi.SOCKADDR_UN_BYTES, 8);
    address.set(JAVA_SHORT, 0, (short) Abi.AF_UNIX);
    MemorySegment.copy(name, 0, address, JAVA_BYTE, Abi.SOCKADDR_UN_PATH, name.length);
    return address;
  }

  /**
   * Connects to a listener, which need not have accepted yet.
   *
   * @throws LinuxException ENOENT, ECONNREFUSED if nobody listens, EAGAIN if its queue is full
   */
  public static UnixConnection connect(Path path) throws IOException {
    Descriptor socket = newSocket();
    try (Arena arena = Arena.ofConfined()) {
      int number = socket.acquire();
      try {
        LinuxCalls.check(LinuxCalls.connect(number, address(arena, path)), "connect " + path);
      } finally {
        socket.release();
      }
      return new UnixConnection(socket);
    } catch (IOException | RuntimeException e) {
      socket.close();
      throw e;
    }
  }

  public Peer peer() throws IOException {
    int number = descriptor.acquire();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment credentials = arena.allocate(Abi.UCRED_BYTES, 4);
      MemorySegment length = arena.allocateFrom(JAVA_INT, Abi.UCRED_BYTES);
      LinuxCalls.check(
          LinuxCalls.getsockopt(number, Abi.SO_PEERCRED, credentials, length),
          "getsockopt(SO_PEERCRED)");
      return new Peer(
          credentials.get(JAVA_INT, Abi.UCRED_PID), credentials.get(JAVA_INT, Abi.UCRED_UID));
    } finally {
      descriptor.release();
    }
  }

  /**
   * Sends all bytes, the descriptors with the first of them. The descriptors stay the caller's.
   *
   * @throws SocketTimeoutException if the other side does not take them in time
   */
  public void send(byte[] bytes, List<Descriptor> descriptors, Duration timeout)
      throws IOException {
    if (bytes.length == 0 || descriptors.size() > DESCRIPTORS) {
      throw new IllegalArgumentException("nothing to carry the descriptors, or too many");
    }
    int number = descriptor.acquire();
    List<Descriptor> held = new ArrayList<>();
    try (Arena arena = Arena.ofConfined()) {
      int[] numbers = new int[descriptors.size()];
      for (Descriptor one : descriptors) {
        numbers[held.size()] = one.acquire();
        held.add(one);
      }
      MemorySegment payload = arena.allocateFrom(JAVA_BYTE, bytes);
      long done = 0;
      while (done < bytes.length) {
        MemorySegment control =
            done == 0 && numbers.length > 0 ? rights(arena, numbers) : MemorySegment.NULL;
        MemorySegment message = message(arena, payload.asSlice(done), control);
        // A closed other side is an error here, not a signal to the process.
        long sent = LinuxCalls.sendmsg(number, message, Abi.MSG_NOSIGNAL);
        if (sent == -Errno.EAGAIN) {
          if (Readiness.await(descriptor, Abi.POLLOUT, timeout) == 0) {
            throw new SocketTimeoutException("the other side does not take the message");
          }
          continue;
        }
        done += LinuxCalls.check(sent, "sendmsg");
      }
    } finally {
      held.forEach(Descriptor::release);
      descriptor.release();
    }
  }

  /**
   * Receives what is there, waiting for the first of it.
   *
   * @param limit bytes to take at most
   * @throws SocketTimeoutException if nothing came in time
   */
  public Received receive(int limit, Duration timeout) throws IOException {
    int number = descriptor.acquire();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment payload = arena.allocate(limit);
      MemorySegment control = arena.allocate(controlBytes(DESCRIPTORS), Abi.CMSG_ALIGNMENT);
      while (true) {
        if (Readiness.await(descriptor, Abi.POLLIN, timeout) == 0) {
          throw new SocketTimeoutException("nothing came");
        }
        MemorySegment message = message(arena, payload, control);
        long got = LinuxCalls.recvmsg(number, message, Abi.MSG_CMSG_CLOEXEC | Abi.MSG_DONTWAIT);
        if (got == -Errno.EAGAIN) {
          continue;
        }
        LinuxCalls.check(got, "recvmsg");
        List<Descriptor> descriptors =
            descriptors(control, message.get(JAVA_LONG, Abi.MSGHDR_CONTROLLEN));
        boolean truncated = (message.get(JAVA_INT, Abi.MSGHDR_FLAGS) & Abi.MSG_CTRUNC) != 0;
        ByteBuffer bytes = ByteBuffer.wrap(payload.asSlice(0, got).toArray(JAVA_BYTE));
        return new Received(bytes, descriptors, truncated);
      }
    } finally {
      descriptor.release();
    }
  }

  /** Whether the other side has closed; does not wait and takes nothing from the stream. */
  public boolean isAtEnd() throws IOException {
    int events = Readiness.await(descriptor, Abi.POLLRDHUP, 0);
    return (events & (Abi.POLLRDHUP | Abi.POLLHUP | Abi.POLLERR)) != 0;
  }

  /**
   * Waits until the other side closes.
   *
   * @return false when the time was over before
   */
  public boolean awaitEnd(Duration timeout) throws IOException {
    int events = Readiness.await(descriptor, Abi.POLLRDHUP, timeout);
    return (events & (Abi.POLLRDHUP | Abi.POLLHUP | Abi.POLLERR)) != 0;
  }

  private static MemorySegment message(Arena arena, MemorySegment payload, MemorySegment control) {
    MemorySegment iovec = arena.allocate(Abi.IOVEC_BYTES, 8);
    iovec.set(ADDRESS, 0, payload);
    iovec.set(JAVA_LONG, Abi.IOVEC_LEN, payload.byteSize());
    MemorySegment message = arena.allocate(Abi.MSGHDR_BYTES, 8);
    message.set(ADDRESS, Abi.MSGHDR_IOV, iovec);
    message.set(JAVA_LONG, Abi.MSGHDR_IOVLEN, 1);
    message.set(ADDRESS, Abi.MSGHDR_CONTROL, control);
    message.set(JAVA_LONG, Abi.MSGHDR_CONTROLLEN, control.byteSize());
    return message;
  }

  private static MemorySegment rights(Arena arena, int[] numbers) {
    MemorySegment control = arena.allocate(controlBytes(numbers.length), Abi.CMSG_ALIGNMENT);
    control.set(JAVA_LONG, 0, Abi.CMSGHDR_BYTES + 4L * numbers.length);
    control.set(JAVA_INT, Abi.CMSGHDR_LEVEL, Abi.SOL_SOCKET);
    control.set(JAVA_INT, Abi.CMSGHDR_TYPE, Abi.SCM_RIGHTS);
    MemorySegment.copy(numbers, 0, control, JAVA_INT, Abi.CMSGHDR_BYTES, numbers.length);
    return control;
  }

  private static long controlBytes(int descriptors) {
    return align(Abi.CMSGHDR_BYTES + 4L * descriptors);
  }

  private static long align(long bytes) {
    return (bytes + Abi.CMSG_ALIGNMENT - 1) & -Abi.CMSG_ALIGNMENT;
  }

  /** Every descriptor that came; from here on each has an owner, whatever the message says. */
  private static List<Descriptor> descriptors(MemorySegment control, long length) {
    List<Descriptor> found = new ArrayList<>();
    long at = 0;
    while (at + Abi.CMSGHDR_BYTES <= length) {
      long bytes = control.get(JAVA_LONG, at);
      if (bytes < Abi.CMSGHDR_BYTES || bytes > length - at) {
        break;
      }
      if (control.get(JAVA_INT, at + Abi.CMSGHDR_LEVEL) == Abi.SOL_SOCKET
          && control.get(JAVA_INT, at + Abi.CMSGHDR_TYPE) == Abi.SCM_RIGHTS) {
        for (long one = Abi.CMSGHDR_BYTES; one + 4 <= bytes; one += 4) {
          found.add(new Descriptor(control.get(JAVA_INT, at + one)));
        }
      }
      at += align(bytes);
    }
    return found;
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
