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
 *   <li>in missing mode the memory <em>stays</em> registered: an agent that was done has
 *       unregistered it before it closed, and of an agent that died there may be pages that only
 *       another agent can bring; the threads that touch them wait. {@link #again} hands the same
 *       descriptor to the next one.
 * </ul>
 *
 * <p>Any thread may close it.
 */
public final class GuestSideHandover implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(GuestSideHandover.class);
  private static final Duration WATCH = Duration.ofHours(1);

  private final Userfaultfd userfaultfd;
  private final HandoverMode mode;
  private final List<MappedRegion> regions;

  /** To the agent that has the descriptor, or had it last. Guarded by this. */
  private UnixConnection connection;

  /** Guarded by this. */
  private boolean closed;

  private GuestSideHandover(
      Userfaultfd userfaultfd,
      UnixConnection connection,
      HandoverMode mode,
      List<MappedRegion> regions) {
    this.userfaultfd = userfaultfd;
    this.connection = connection;
    this.mode = mode;
    this.regions = List.copyOf(regions);
    if (mode == HandoverMode.WRITE_PROTECT) {
      Thread.ofPlatform().name("handover").daemon().start(this::closeWhenTheAgentDoes);
    }
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
      register(userfaultfd, mode, regions);
      UnixConnection connection =
          HandoverSender.send(socket, new HandoverMessage(regions), userfaultfd.descriptor());
      return new GuestSideHandover(userfaultfd, connection, mode, regions);
    } catch (IOException | RuntimeException e) {
      // The last descriptor: closing it takes every registration off.
      userfaultfd.close();
      throw e;
    }
  }

  private static void register(
      Userfaultfd userfaultfd, HandoverMode mode, List<MappedRegion> regions) throws IOException {
    Watch watch =
        switch (mode) {
          case WRITE_PROTECT -> Watch.WRITE_PROTECT;
          case MISSING -> Watch.MISSING;
        };
    for (MappedRegion region : regions) {
      userfaultfd.register(region.baseHostVirtAddr(), region.size(), watch);
    }
  }

  /**
   * Hands the same descriptor to another agent, after the first has closed its end. Nothing is
   * unregistered for that, so threads that wait for a page go on waiting.
   *
   * @param socket where the agent listens
   * @throws IOException if an agent still has it, if this was closed, or if nobody listens; all
   *     stays as it was then
   */
  public synchronized void again(Path socket) throws IOException {
    if (active()) {
      throw new IOException("the guest's memory is handed over already");
    }
    if (closed) {
      throw new IOException("the guest ends");
    }
    // Of no effect where it still is; an agent that gave up before the guest ran took it off.
    register(userfaultfd, mode, regions);
    UnixConnection next =
        HandoverSender.send(socket, new HandoverMessage(regions), userfaultfd.descriptor());
    connection.close();
    connection = next;
  }

  /** Whether the agent still has its end of the socket open. */
  public synchronized boolean active() {
    if (closed) {
      return false;
    }
    try {
      // What is write-protected is only free for another when it has been taken off.
      return mode == HandoverMode.WRITE_PROTECT || !connection.isAtEnd();
    } catch (IOException e) {
      return false;
    }
  }

  private void closeWhenTheAgentDoes() {
    UnixConnection only;
    synchronized (this) {
      only = connection;
    }
    try {
      while (!only.awaitEnd(WATCH)) {
        LOG.debug("the handover goes on");
      }
    } catch (IOException e) {
      LOG.debug("the handover was closed on this side", e);
    }
    close();
  }

  /** Whether this is in missing mode, in which memory may wait for another agent. */
  public boolean servesMissing() {
    return mode == HandoverMode.MISSING;
  }

  /**
   * Closes without unregistering: for memory that another userfaultfd watches by now, so that no
   * page of it can be missing any more.
   */
  public synchronized void abandon() {
    if (!closed) {
      closed = true;
      userfaultfd.close();
      connection.close();
    }
  }

  /**
   * Takes the registrations off and closes. In missing mode a thread that waits for a page goes on
   * with zeros: only when no page is missing any more, or the guest ends.
   */
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    for (MappedRegion region : regions) {
      try {
        userfaultfd.unregister(region.baseHostVirtAddr(), region.size());
      } catch (IOException e) {
        // The agent has done it, or the memory is gone.
        LOG.debug("unregistering {}", region, e);
      }
    }
    abandon();
  }
}
