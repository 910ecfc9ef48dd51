package io.pageferry.guest.handover;

import io.pageferry.guest.handover.HandoverException.Problem;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.ProcessDescriptor;
import io.pageferry.guest.linux.UnixConnection;
import io.pageferry.guest.linux.Userfaultfd;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a guest handed over, or what was taken from a guest that knows nothing of it: a userfaultfd
 * on its memory, and where that memory is mapped in its process. With it goes what says that the
 * process has ended.
 *
 * <p>Closing it tells the guest that we are done. Any thread may use and close it.
 */
public final class GuestHandover implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(GuestHandover.class);

  /** Null when it was taken again, or from a guest that did not send it. */
  private final @Nullable UnixConnection connection;

  /** Removes what was left in the guest's process; null if it sees to that itself. */
  private final @Nullable Runnable traces;

  private final ProcessDescriptor process;
  private final int pid;
  private final Userfaultfd userfaultfd;
  private final List<MappedRegion> regions;
  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile boolean unregistered;

  GuestHandover(
      @Nullable UnixConnection connection,
      ProcessDescriptor process,
      int pid,
      Userfaultfd userfaultfd,
      List<MappedRegion> regions) {
    this(connection, process, pid, userfaultfd, regions, null);
  }

  private GuestHandover(
      @Nullable UnixConnection connection,
      ProcessDescriptor process,
      int pid,
      Userfaultfd userfaultfd,
      List<MappedRegion> regions,
      @Nullable Runnable traces) {
    this.connection = connection;
    this.traces = traces;
    this.process = process;
    this.pid = pid;
    this.userfaultfd = userfaultfd;
    this.regions = List.copyOf(regions);
  }

  /**
   * What was taken from a guest that does not know of it.
   *
   * @param process and all else belongs to the handover from now on
   * @param userfaultfd registered on the regions, and also open in the guest's process
   * @param traces removes the guest's own descriptor; run once by {@link #close} after {@link
   *     #unregister}, and not otherwise: the last descriptor to close would let the guest read
   *     zeros where pages are missing
   */
  public static GuestHandover taken(
      ProcessDescriptor process,
      int pid,
      Userfaultfd userfaultfd,
      List<MappedRegion> regions,
      Runnable traces) {
    return new GuestHandover(null, process, pid, userfaultfd, regions, traces);
  }

  /**
   * Takes a handover again after the agent that had it is gone, from a guest that hands its memory
   * over once and never again, as Firecracker does: a copy of the descriptor that the guest itself
   * keeps open. Its threads that wait go on waiting until they are woken.
   *
   * @param pid of the guest that sent the message; the caller knows that this number still is that
   *     process's
   * @param message what it sent then
   * @throws IOException if it has ended, if it has no userfaultfd or several, or without the right
   *     to trace it
   */
  public static GuestHandover retake(int pid, HandoverMessage message) throws IOException {
    ProcessDescriptor process;
    try {
      process = ProcessDescriptor.of(pid);
    } catch (LinuxException e) {
      throw new HandoverException(
          Problem.NO_PROCESS, "the guest's process " + pid + ": " + e.reason(), e);
    }
    try {
      List<Integer> held = Userfaultfd.heldBy(pid);
      if (held.size() != 1) {
        throw new HandoverException(
            held.isEmpty() ? Problem.NO_DESCRIPTOR : Problem.SEVERAL_DESCRIPTORS,
            "the guest's process %d has %s userfaultfd open, so its memory cannot be reached again"
                .formatted(pid, held.isEmpty() ? "no" : "more than one"));
      }
      Userfaultfd userfaultfd = Userfaultfd.received(process.copyOf(held.getFirst()));
      return new GuestHandover(null, process, pid, userfaultfd, message.regions());
    } catch (IOException | RuntimeException e) {
      process.close();
      throw e;
    }
  }

  /** What the guest sent, to be kept for {@link #retake}. */
  public HandoverMessage message() {
    return new HandoverMessage(regions);
  }

  /**
   * The guest's process; this number is the same process's as long as {@link #guestGone} is false.
   */
  public int pid() {
    return pid;
  }

  /** Owned by this handover. */
  public Userfaultfd userfaultfd() {
    return userfaultfd;
  }

  /** As the guest listed them: aligned and disjoint. */
  public List<MappedRegion> regions() {
    return regions;
  }

  /**
   * Whether the guest's process has ended, or has closed its end, after which nothing that it
   * handed over may be relied on. Once closed here: false.
   */
  public boolean guestGone() {
    try {
      return (connection != null && connection.isAtEnd()) || process.hasEnded();
    } catch (IOException e) {
      // Closed on this side; poll itself does not fail.
      return false;
    }
  }

  /**
   * Takes every registration off the guest's memory: write protection goes with it, and threads
   * that wait for a missing page go on with what is in the file there, or with zeros. What is gone
   * already is left alone.
   */
  public void unregister() {
    unregistered = true;
    for (MappedRegion region : regions) {
      try {
        userfaultfd.unregister(region.baseHostVirtAddr(), region.size());
      } catch (IOException e) {
        if (userfaultfd.descriptor().isClosed() || guestGone()) {
          LOG.debug("unregistering {}", region, e);
        } else {
          LOG.warn(
              "the guest's process {} may wait for ever where it touches {} bytes at 0x{}, because"
                  + " they could not be taken out of watch: {}",
              pid,
              region.size(),
              Long.toHexString(region.baseHostVirtAddr()),
              e.getMessage());
        }
      }
    }
  }

  @Override
  public void close() {
    try {
      if (traces != null && unregistered && !closed.getAndSet(true) && !guestGone()) {
        traces.run();
      }
    } finally {
      userfaultfd.close();
      if (connection != null) {
        connection.close();
      }
      process.close();
    }
  }
}
