package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A buffer of messages from a {@link Userfaultfd}, filled again and again. Addresses are those of
 * the process that made the descriptor. Owned by one thread.
 */
public final class FaultEvents {
  private final MemorySegment buffer;
  private int count;

  /** What a message says. */
  public enum Kind {
    /** A thread touched a page that is not there, and waits. */
    FAULT,
    /** Pages were given back to the kernel: they read as zeros from now on. */
    REMOVED,
    /** A range is no longer mapped. */
    UNMAPPED,
    /** The process forked; the descriptor that came with it has been closed. */
    FORKED,
    /** Something else, which only comes if the guest asked the kernel for it. */
    OTHER
  }

  /** Room for so many messages. */
  public FaultEvents(int capacity) {
    buffer = Arena.ofAuto().allocate((long) capacity * Abi.UFFD_MSG_BYTES, 8);
  }

  MemorySegment buffer() {
    return buffer;
  }

  int filled(long bytes) {
    count = (int) (bytes / Abi.UFFD_MSG_BYTES);
    for (int i = 0; i < count; i++) {
      if (kind(i) == Kind.FORKED) {
        // The kernel has opened it in this process; nobody here follows a guest's children.
        LinuxCalls.close(buffer.get(JAVA_INT_UNALIGNED, at(i) + Abi.UFFD_MSG_FORK_UFD));
      }
    }
    return count;
  }

  public int count() {
    return count;
  }

  /** How many it has room for. */
  public int capacity() {
    return (int) (buffer.byteSize() / Abi.UFFD_MSG_BYTES);
  }

  private static long at(int index) {
    return (long) index * Abi.UFFD_MSG_BYTES;
  }

  public Kind kind(int index) {
    return switch (Byte.toUnsignedInt(buffer.get(JAVA_BYTE, at(index)))) {
      case Abi.UFFD_EVENT_PAGEFAULT -> Kind.FAULT;
      case Abi.UFFD_EVENT_REMOVE -> Kind.REMOVED;
      case Abi.UFFD_EVENT_UNMAP -> Kind.UNMAPPED;
      case Abi.UFFD_EVENT_FORK -> Kind.FORKED;
      default -> Kind.OTHER;
    };
  }

  /** Where the fault happened; somewhere in its page. */
  public long address(int index) {
    return buffer.get(JAVA_LONG_UNALIGNED, at(index) + Abi.UFFD_MSG_PAGEFAULT_ADDRESS);
  }

  /** Where the range of a removal begins. */
  public long start(int index) {
    return buffer.get(JAVA_LONG_UNALIGNED, at(index) + Abi.UFFD_MSG_REMOVE_START);
  }

  /** The address behind the range of a removal. */
  public long end(int index) {
    return buffer.get(JAVA_LONG_UNALIGNED, at(index) + Abi.UFFD_MSG_REMOVE_END);
  }
}
