package io.pageferry.guest.handover;

import io.pageferry.guest.linux.UnixConnection;
import io.pageferry.guest.linux.Userfaultfd;
import io.pageferry.guest.linux.Userfaultfd.Watch;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The guest's side of a handover: a userfaultfd of this process on its own memory, in the hands of
 * an agent.
 *
 * <p>This side keeps a descriptor of its own open. If the agent's were the only one, its death
 * would close it, and threads that wait for a missing page would go on with a page of zeros,
 * silently.
 *
 * <p>When the agent closes the socket (done, cancelled or dead):
 *
 * <ul>
 *   <li>write protection is taken off and everything closed: the guest runs as if it had never been
 *       followed;
 *   <li>in missing mode the memory <em>stays</em> registered until {@link #close}: an agent that
 *       was done has unregistered it before it closed, and of an agent that died there may be pages
 *       that only another agent can bring; the threads that touch them wait.
 * </ul>
 *
 * <p>Any thread may close it.
 */
public final class GuestSideHandover implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(GuestSideHandover.class);
  private static final Duration WATCH = Duration.ofHours(1);

  private final Userfaultfd userfaultfd;
  private final UnixConnection connection;
  private final HandoverMode mode;
  private final List<MappedRegion> regions;

  /** Guarded by this. */
  private boolean closed;

  private volatile boolean active = true;

  private GuestSideHandover(
      Userfaultfd userfaultfd,
      UnixConnection connection,
      HandoverMode mode,
      List<MappedRegion> regions) {
    this.userfaultfd = userfaultfd;
    this.connection = connection;
    this.mode = mode;
    this.regions = regions;
  }

  /**
   * Registers this process's memory and hands it over. When this returns the message has been sent;
   * the agent need not have read it.
   *
   * @param socket where the agent listens
   * @param regions shared mappings of this process, in guest order; offsets count through the files
   *     of the image one after the other, as if they were one
   * @throws IOException if the kernel refuses, or nobody listens; nothing is registered then
   */
  public static GuestSideHandover start(Path socket, HandoverMode mode, List<MappedRegion> regions)
      throws IOException {
    Userfaultfd userfaultfd = Userfaultfd.open();
    try {
      boolean hugePages = regions.stream().anyMatch(region -> region.pageSize() > 4096);
      userfaultfd.enable(
          switch (mode) {
            case WRITE_PROTECT -> Userfaultfd.writeProtectFeatures();
            case MISSING -> Userfaultfd.missingFeatures(hugePages);
          });
      Watch watch =
          switch (mode) {
            case WRITE_PROTECT -> Watch.WRITE_PROTECT;
            case MISSING -> Watch.MISSING;
          };
      for (MappedRegion region : regions) {
        userfaultfd.register(region.baseHostVirtAddr(), region.size(), watch);
      }
      UnixConnection connection =
          HandoverSender.send(socket, new HandoverMessage(regions), userfaultfd.descriptor());
      GuestSideHandover handover =
          new GuestSideHandover(userfaultfd, connection, mode, List.copyOf(regions));
      Thread.ofPlatform().name("handover").daemon().start(handover::awaitEnd);
      return handover;
    } catch (IOException | RuntimeException e) {
      // The last descriptor: closing it takes every registration off.
      userfaultfd.close();
      throw e;
    }
  }

  /** Whether the agent still has its end of the socket open. */
  public boolean active() {
    return active;
  }

  private void awaitEnd() {
    try {
      while (!connection.awaitEnd(WATCH)) {
        LOG.debug("the handover goes on");
      }
    } catch (IOException e) {
      LOG.debug("the handover was closed on this side", e);
    }
    active = false;
    if (mode == HandoverMode.WRITE_PROTECT) {
      close();
    }
  }

  /**
   * Takes the registrations off and closes. In missing mode a thread that waits for a page goes on
   * with zeros: only when no page is missing any more, or the guest ends.
   */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    active = false;
    for (MappedRegion region : regions) {
      try {
        userfaultfd.unregister(region.baseHostVirtAddr(), region.size());
      } catch (IOException e) {
        // The agent has done it, or the memory is gone.
        LOG.debug("unregistering {}", region, e);
      }
    }
    userfaultfd.close();
    connection.close();
  }
}
