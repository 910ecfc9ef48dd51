package io.pageferry.target.reception;

import io.pageferry.guest.fault.FaultService;
import io.pageferry.guest.fault.FaultStatistics;
import io.pageferry.guest.fault.FaultWatch;
import io.pageferry.guest.fault.MissingPages;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.MappedRegion;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.target.MigrationAborted;
import io.pageferry.target.incoming.IncomingGuest;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The part of a guest's memory that is not here: first only written down, page by page, as the
 * source names it; from {@link #serve} on the guest may touch it, and its faults are served.
 *
 * <p>Driver thread only.
 */
final class MissingMemory implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(MissingMemory.class);

  private final IncomingGuest guest;
  private final ImageLayout layout;
  private final LandingPlace place;
  private final FaultLine faultLine;
  private @Nullable MissingPages pages;
  private @Nullable GuestHandover handover;
  private @Nullable FaultService faults;

  /** Ends the reading of faults by the channel that pages are asked for on. */
  private Runnable watching = () -> {};

  MissingMemory(IncomingGuest guest, ImageLayout layout, LandingPlace place, FaultLine faultLine) {
    this.guest = guest;
    this.layout = layout;
    this.place = place;
    this.faultLine = faultLine;
  }

  /**
   * These pages never came, or are stale. What is stale is removed, so that the guest does not find
   * it.
   */
  void add(Missing message) throws MigrationAborted {
    int region = message.region();
    try {
      MissingPages written = pages();
      for (PageSpan span : message.spans()) {
        if (!layout.holds(region, span.firstPage(), span.count())) {
          throw new MigrationAborted(
              AbortReason.PROTOCOL_VIOLATION, "pages are missing that the image does not have");
        }
        written.add(region, span.firstPage(), span.count());
        GuestImage image = guest.memory().image().orElse(null);
        if (image != null) {
          requireWholeGranules(image, region, span);
          image.clear(region, span.firstPage(), span.count());
        }
      }
    } catch (IOException e) {
      throw failed("the target cannot write down which pages are missing", e);
    }
  }

  private MissingPages pages() throws IOException {
    if (pages == null) {
      pages = MissingPages.create(guest.faults().missingPages(), regionPages());
    }
    return pages;
  }

  private List<Long> regionPages() {
    return layout.regions().stream().map(ImageLayout.Region::pages).toList();
  }

  /** A huge page is missing as a whole or not at all. */
  private void requireWholeGranules(GuestImage image, int region, PageSpan span)
      throws MigrationAborted {
    long granule = image.regions().get(region).pageSize() / ImageRegion.PAGE_BYTES;
    if (span.firstPage() % granule != 0 || span.count() % granule != 0) {
      throw new MigrationAborted(
          AbortReason.PROTOCOL_VIOLATION,
          "parts of huge pages are missing in region " + layout.regions().get(region).name());
    }
  }

  /** As the other, of memory whose pages are known when the guest hands it over. */
  private void requireWholeGranules(MissingPages written, GuestHandover given) throws IOException {
    long granule =
        given.regions().stream().mapToLong(MappedRegion::pageSize).max().orElseThrow()
            / ImageRegion.PAGE_BYTES;
    for (int region = 0; region < layout.regions().size(); region++) {
      written.forEachRun(
          region,
          (index, first, count) -> {
            if (first % granule != 0 || count % granule != 0) {
              throw new IOException(
                  "parts of huge pages are missing in region "
                      + layout.regions().get(index).name());
            }
          });
    }
  }

  /**
   * All of it has come in rounds: a page that the guest finds missing is one of zeros, for the
   * kernel to make. Before the guest loads its device state.
   */
  void lift() {
    guest.faults().lift();
  }

  /**
   * From here on the guest may touch what is missing; {@link #ask} says where that is asked for.
   * Waits for a guest that has yet to hand its memory over.
   *
   * @param expected how many pages the source named
   */
  void serve(long expected) throws MigrationAborted {
    try {
      MissingPages written = pages();
      if (written.count() != expected) {
        throw new MigrationAborted(
            AbortReason.PROTOCOL_VIOLATION,
            written.count() + " pages were named as missing, and " + expected + " announced");
      }
      // Not forced to the disk: it is for the next agent on this host, while the guest lives.
      start(written, false);
    } catch (IOException e) {
      throw failed("the guest's page faults cannot be served on the target", e);
    }
  }

  /**
   * Takes it up again after the agent that served it is gone.
   *
   * @throws IOException whose message says why that cannot be done now
   */
  void reopen() throws IOException {
    MissingPages found = MissingPages.reopen(guest.faults().missingPages(), regionPages());
    pages = found;
    guest.retakeFaults();
    start(found, true);
  }

  /**
   * @param again whether another agent has served it before
   */
  private void start(MissingPages written, boolean again) throws IOException {
    GuestHandover given = guest.faults().give();
    GuestImage image = guest.memory().image().orElse(null);
    FaultService started = null;
    try {
      if (again) {
        if (image != null) {
          FaultService.requireMapped(given, image);
          written.removePresent(image);
        } else {
          written.removePresent(given, guest.memory().regions());
        }
      } else if (image == null) {
        requireWholeGranules(written, given);
      }
      started = FaultService.start(given, guest.memory().regions(), written, faultLine);
    } finally {
      if (started == null) {
        if (!again) {
          // It will not have its pages: who waits for one is not to wait for ever.
          given.unregister();
        }
        given.close();
      }
    }
    handover = given;
    faults = started;
    place.serveFaults(started);
  }

  /** Whether the guest's faults are being served. */
  boolean served() {
    return faults != null;
  }

  /** How many pages are still to come. Any thread once it is served. */
  long missing() {
    return faults().missing();
  }

  /** How long the guest has been waiting for a page that was asked for, in nanoseconds. */
  long longestWait() {
    return faults().oldestRequestNanos();
  }

  /**
   * Pages are asked for there from now on, beginning with those that the guest waits for already.
   */
  void ask(RequestChannel channel) {
    faultLine.use(channel);
    watchBy(channel);
    faults().repeatRequests();
  }

  /** Who asks for pages reads the faults as well: one thread less to be woken for each of them. */
  private void watchBy(RequestChannel channel) {
    endWatch();
    try {
      FaultWatch watch = faults().watch();
      watching = channel.channel().watch(watch.descriptor(), watch::serve, watch::close);
    } catch (IOException e) {
      LOG.debug("the faults are no longer read", e);
    }
  }

  private void endWatch() {
    watching.run();
    watching = () -> {};
  }

  /** There is nobody to ask for pages. */
  void askNobody() {
    faultLine.use(null);
    endWatch();
  }

  FaultStatistics statistics() {
    return faults().statistics();
  }

  /** Tells the source what is missing, in as many messages as it takes. */
  void name(SourceLine line) {
    List<PageSpan> spans = new ArrayList<>();
    int regions = layout.regions().size();
    for (int region = 0; region < regions; region++) {
      int number = region;
      try {
        Objects.requireNonNull(pages)
            .forEachRun(
                region,
                (index, first, count) -> {
                  if (spans.size() == Missing.MAX_SPANS) {
                    line.send(new Missing(number, false, spans));
                    spans.clear();
                  }
                  spans.add(new PageSpan(first, count));
                });
      } catch (IOException e) {
        throw new IllegalStateException("nothing is read or written here", e);
      }
      boolean last = region == regions - 1;
      if (last || !spans.isEmpty()) {
        line.send(new Missing(region, last, spans));
        spans.clear();
      }
    }
  }

  /** Nothing is missing any more: the guest is on its own. The list of what was stays. */
  void finish() {
    endWatch();
    faults().finish();
  }

  /** Nothing more will come: whoever waits for a page goes on without it. */
  void abandon() {
    if (handover != null) {
      handover.unregister();
    }
    close();
  }

  private FaultService faults() {
    return Objects.requireNonNull(faults, "nothing is served yet");
  }

  private static MigrationAborted failed(String what, IOException cause) {
    return new MigrationAborted(AbortReason.IO_ERROR, what + ": " + cause.getMessage(), cause);
  }

  /** Lets go; a guest that waits for a page goes on waiting for whoever takes it up again. */
  @Override
  public void close() {
    endWatch();
    if (faults != null) {
      faults.close();
    }
  }
}
