/**
 * Which pages a running guest writes.
 *
 * <p>What can happen between the guest, the kernel and us, and why no write is lost:
 *
 * <dl>
 *   <dt>A write between the clearing of a page's mark and our reading of it
 *   <dd>sets the mark again. We may have read it whole, in part or not at all; the page is reported
 *       by the next collection and sent again. That is <em>read after clear</em>, and why a page
 *       must never be read before it was reported.
 *   <dt>A write while the mark is being cleared
 *   <dd>The kernel protects the page under its page table's lock and has flushed all processors'
 *       translations before the scan returns. The write either came before that, then we read it;
 *       or it faults, then it sets the mark.
 *   <dt>The first scan
 *   <dd>Right after registration every page counts as written. Arming protects all of them, those
 *       that are not mapped too, and reports none: the first round sends everything, and reads it
 *       after the arming.
 *   <dt>A page that leaves the page table (swapped, reclaimed, MADV_DONTNEED)
 *   <dd>If it was protected, a marker stays behind that says "not written". If not, nothing stays
 *       behind, and the scan counts nothing as written: reported once too often, never lost.
 *   <dt>A hole that the guest punches into its memory (a balloon, free page reporting)
 *   <dd>changes the content to zeros, and the kernel does not report it for a page that was
 *       protected. {@link io.pageferry.guest.dirty.WriteProtectTracker} finds it by asking for
 *       pages that are not mapped and looking whether the file has a hole where it had content;
 *       {@link io.pageferry.guest.dirty.DigestTracker} by comparing every new hole with what was
 *       sent.
 *   <dt>A page reported twice in one collection
 *   <dd>would be sent twice in one round, perhaps on two channels, and might land in the wrong
 *       order. Everything found is gathered first and reported once.
 *   <dt>The guest's process ends during a scan
 *   <dd>Its page tables empty before its descriptors close, and an empty address space has no
 *       written page. After each scan we look whether the mappings are still there.
 *   <dt>Writes past the guest's own mapping (another process, vhost-user, a device)
 *   <dd>are not seen by the kernel's tracking; digests see them.
 * </dl>
 */
@NullMarked
package io.pageferry.guest.dirty;

import org.jspecify.annotations.NullMarked;
