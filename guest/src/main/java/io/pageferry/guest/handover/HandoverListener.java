package io.pageferry.guest.handover;

import io.pageferry.guest.handover.HandoverException.Problem;
import io.pageferry.guest.linux.Descriptor;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.ProcessDescriptor;
import io.pageferry.guest.linux.UnixConnection;
import io.pageferry.guest.linux.UnixListener;
import io.pageferry.guest.linux.Userfaultfd;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A Unix socket on which a guest hands over a userfaultfd on its memory.
 *
 * <p>The socket is readable and writable by its owner only, and whoever connects is known to the
 * kernel by process and user; put it into a folder that only its owner may enter.
 *
 * <p>Any thread may close it, which makes a waiting {@link #accept} fail.
 */
public final class HandoverListener implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(HandoverListener.class);
  private static final int RECEIVE = 64 << 10;

  private final UnixListener listener;

  private HandoverListener(UnixListener listener) {
    this.listener = listener;
  }

  /**
   * Listens at {@code socket}, which must not exist and whose name has at most 107 bytes. Closing
   * removes it.
   */
  public static HandoverListener bind(Path socket) throws IOException {
    return new HandoverListener(UnixListener.bind(socket));
  }

  /**
   * Waits for a guest and takes what it hands over. A handover that is refused is taken off the
   * guest's memory where that can be done: nobody would serve it, and some guests stay registered.
   *
   * @param timeout for all of it together
   * @return owned by the caller
   * @throws HandoverException if nobody came, or the message is none
   * @throws java.io.InterruptedIOException if the thread was interrupted
   */
  public GuestHandover accept(Duration timeout) throws IOException {
    return accept(timeout, true);
  }

  /**
   * As {@link #accept}, of a guest whose memory was served before: refused or not, it stays
   * registered, because what is missing of it would read as zeros otherwise.
   */
  public GuestHandover acceptAgain(Duration timeout) throws IOException {
    return accept(timeout, false);
  }

  private GuestHandover accept(Duration timeout, boolean first) throws IOException {
    long end = System.nanoTime() + timeout.toNanos();
    UnixConnection connection;
    do {
      connection = listener.accept(left(end));
    } while (connection == null && System.nanoTime() < end);
    if (connection == null) {
      throw new HandoverException(
          Problem.NOBODY_CAME,
          "the guest did not connect to %s within %d ms"
              .formatted(listener.path(), timeout.toMillis()));
    }
    List<Descriptor> descriptors = new ArrayList<>();
    ProcessDescriptor process = null;
    HandoverMessage message = null;
    try {
      UnixConnection.Peer peer = connection.peer();
      message = receive(connection, descriptors, end);
      if (descriptors.isEmpty()) {
        throw new HandoverException(
            Problem.NO_DESCRIPTOR, "no descriptor came with the guest's handover message");
      }
      if (descriptors.size() > 1) {
        throw new HandoverException(
            Problem.SEVERAL_DESCRIPTORS,
            descriptors.size() + " descriptors came with the guest's handover message, not one");
      }
      process = process(peer.pid());
      if (connection.isAtEnd()) {
        // Only as long as it is connected is the process of this number certainly the sender.
        throw new HandoverException(
            Problem.NO_PROCESS, "the guest closed the socket after its handover message");
      }
      return new GuestHandover(
          connection,
          process,
          peer.pid(),
          Userfaultfd.received(descriptors.getFirst()),
          message.regions());
    } catch (IOException | RuntimeException e) {
      if (first && message != null) {
        takeOff(descriptors, message);
      }
      descriptors.forEach(Descriptor::close);
      connection.close();
      if (process != null) {
        process.close();
      }
      throw e;
    }
  }

  /**
   * Whatever was sent: what is no userfaultfd, or not on this memory, says so and stays as it is.
   */
  private static void takeOff(List<Descriptor> descriptors, HandoverMessage message) {
    for (Descriptor descriptor : descriptors) {
      for (MappedRegion region : message.regions()) {
        try {
          Userfaultfd.received(descriptor).unregister(region.baseHostVirtAddr(), region.size());
        } catch (IOException e) {
          LOG.debug("taking a refused handover off {}", region, e);
        }
      }
    }
  }

  private static Duration left(long end) {
    return Duration.ofNanos(Math.max(0, end - System.nanoTime()));
  }

  private static ProcessDescriptor process(int pid) throws HandoverException {
    if (pid <= 0) {
      throw new HandoverException(
          Problem.NO_PROCESS,
          "the guest's process cannot be seen from here: it is in another PID namespace");
    }
    try {
      return ProcessDescriptor.of(pid);
    } catch (LinuxException e) {
      throw new HandoverException(
          Problem.NO_PROCESS, "the guest's process " + pid + ": " + e.reason(), e);
    }
  }

  /**
   * One message is sent at once, but a stream may deliver it in pieces; it is whole when it is
   * whole JSON.
   */
  private static HandoverMessage receive(
      UnixConnection connection, List<Descriptor> descriptors, long end) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    HandoverException breaksOff = null;
    while (true) {
      UnixConnection.Received received = next(connection, end, breaksOff);
      descriptors.addAll(received.descriptors());
      if (received.truncated()) {
        throw new HandoverException(
            Problem.SEVERAL_DESCRIPTORS,
            "more descriptors came with the guest's handover message than could be taken");
      }
      if (!received.bytes().hasRemaining()) {
        throw breaksOff != null
            ? breaksOff
            : new HandoverException(
                Problem.EMPTY, "the guest closed the socket without a handover message");
      }
      bytes.writeBytes(received.bytes().array());
      try {
        return HandoverMessage.decode(bytes.toByteArray());
      } catch (HandoverException e) {
        if (e.problem() != Problem.TRUNCATED && e.problem() != Problem.EMPTY) {
          throw e;
        }
        breaksOff = e;
      }
    }
  }

  private static UnixConnection.Received next(
      UnixConnection connection, long end, @Nullable HandoverException breaksOff)
      throws IOException {
    try {
      return connection.receive(RECEIVE, left(end));
    } catch (SocketTimeoutException e) {
      throw breaksOff != null
          ? breaksOff
          : new HandoverException(
              Problem.EMPTY, "the guest connected but sent no handover message in time", e);
    }
  }

  /** Stops listening and removes the socket; what was accepted stays. */
  @Override
  public void close() {
    listener.close();
  }
}
