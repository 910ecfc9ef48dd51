package io.pageferry.guest.dirty;

import io.pageferry.guest.image.PageRunConsumer;
import java.io.IOException;

/**
 * Follows the writes of one running guest.
 *
 * <p>The rule that everything rests on is <em>read after clear</em>: a page's bytes are read only
 * after its mark was cleared, so that a write that races with the read sets the mark again and the
 * page is sent once more. {@link #collect} therefore clears first and reports afterwards; whoever
 * reads a page reads it after it was reported.
 *
 * <p>Threading: one thread at a time.
 */
public interface DirtyTracker extends AutoCloseable {
  /** {@code userfaultfd-wp} or {@code digest}. */
  String name();

  /**
   * From the return of this on every write is noticed. Reports nothing: the first round sends all
   * memory, and reads it after this.
   *
   * @throws GuestGoneException if the guest's process has ended
   */
  void arm() throws IOException;

  /**
   * Reports every page written since its mark was last cleared, in order of region and page, each
   * page once, neighbours joined. Clears a page's mark before it reports it.
   *
   * @return the number of pages reported
   * @throws GuestGoneException if the guest's process has ended; marks may have been cleared then
   */
  long collect(PageRunConsumer dirty) throws IOException;

  /**
   * Whether a page that was reported and is not sent is reported again only if it was written
   * again.
   */
  boolean tellsRewrites();

  /**
   * Counts the pages that {@link #collect} would report, without clearing anything.
   *
   * @return pages, or -1 where counting costs as much as collecting
   */
  long estimate() throws IOException;

  /** Removes the tracking; the guest runs on, untouched. May be called again. */
  @Override
  void close();
}
