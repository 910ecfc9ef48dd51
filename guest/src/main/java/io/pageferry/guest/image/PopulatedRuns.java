package io.pageferry.guest.image;

import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.LinuxFile;
import java.io.IOException;

/**
 * What of one region's file is not a hole, asked for piece by piece in ascending order. On
 * hugetlbfs, which does not tell, everything.
 *
 * <p>The kernel is asked once for each run of the file, however many pieces lie in it: to say where
 * a run ends it looks at every page up to there. Asking for each piece anew let a guest of 2 GiB
 * stand still for a minute whose file was full and whose page table had thousands of gaps. What
 * comes about meanwhile in a run that is known is seen by the next of these.
 *
 * <p>One thread.
 */
public final class PopulatedRuns {
  private static final int PAGE = ImageRegion.PAGE_BYTES;
  private static final long NONE = Long.MAX_VALUE;

  private final ImageRegion region;
  private final LinuxFile file;
  private final boolean holesUnknown;

  // From where on the kernel was asked, and the run that it named: [data, hole). Bytes.
  private long askedFrom;
  private long data;
  private long hole;

  PopulatedRuns(ImageRegion region, LinuxFile file, boolean hugetlbfs) {
    this.region = region;
    this.file = file;
    this.holesUnknown = hugetlbfs;
  }

  /** Reports what lies in this piece, in ascending order, neighbours joined. */
  public void within(long firstPage, long count, PageRunConsumer consumer) throws IOException {
    long begin = firstPage * PAGE;
    long end = begin + count * PAGE;
    long at = begin;
    long runStart = -1;
    long runEnd = -1;
    while (at < end) {
      if (at < askedFrom || at >= hole) {
        ask(at);
      }
      if (data >= end) {
        break;
      }
      // Blocks of the file system may be smaller than a page: a page with any content is content.
      long first = Math.max(begin, Math.max(at, data) & -PAGE);
      long past = hole >= end ? end : (hole + PAGE - 1) & -PAGE;
      if (first > runEnd && runStart >= 0) {
        consumer.run(region.index(), runStart / PAGE, (runEnd - runStart) / PAGE);
        runStart = first;
      } else if (runStart < 0) {
        runStart = first;
      }
      runEnd = past;
      at = past;
    }
    if (runStart >= 0) {
      consumer.run(region.index(), runStart / PAGE, (runEnd - runStart) / PAGE);
    }
  }

  private void ask(long at) throws IOException {
    askedFrom = at;
    long found = holesUnknown ? at : seekData(at);
    data = found < 0 ? NONE : found;
    hole = found < 0 || holesUnknown ? NONE : file.seekHole(found);
  }

  private long seekData(long at) throws IOException {
    try {
      return file.seekData(at);
    } catch (LinuxException e) {
      if (e.errno() == Errno.EINVAL || e.errno() == Errno.EOPNOTSUPP) {
        // A file system that knows no holes: all of it is content.
        return at;
      }
      throw e;
    }
  }
}
