/**
 * Serves the page faults of a guest that runs while pages of its memory are still to come.
 *
 * <p>A page is in one of three states: <em>missing</em> (its bit in {@link
 * io.pageferry.guest.fault.MissingPages} is set: the source has its content), <em>there</em>, or
 * <em>zero</em> (the bit is clear and nothing is there). What can happen, and why no byte is lost:
 *
 * <dl>
 *   <dt>A page lands
 *   <dd>by UFFDIO_COPY and in no other way, so that the guest sees all of it or nothing. Its bit is
 *       cleared <em>after</em> that: if this process is killed in between, the page is asked for
 *       again, found there (EEXIST) and left as it is. The other order would make it a page of
 *       zeros.
 *   <dt>Two landings of one page
 *   <dd>The kernel takes one and refuses the other; both then clear the bit.
 *   <dt>The guest gives pages back (REMOVE)
 *   <dd>They read as zeros from then on, so a landing that follows must not bring their old
 *       content. The guest goes on as soon as its event has been <em>read</em>, therefore reading
 *       events and clearing the bits of removed pages are one step under the write lock, and
 *       looking at the bit and UFFDIO_COPY one step under the read lock. A landing before the event
 *       is removed with the rest; one while the event is queued is refused by the kernel (EAGAIN)
 *       and tried again; one after it finds the bit clear. The event does not say whether
 *       MADV_DONTNEED or MADV_REMOVE caused it. For shared memory the former would keep what is in
 *       the file, but a page that is missing is not in the file: it reads as zeros as well.
 *   <dt>A fault of a page that is no longer missing
 *   <dd>gets a page of zeros, unless the kernel says that the page is there; then its thread is
 *       woken.
 *   <dt>A fault and a landing at the same time
 *   <dd>The reader notes that somebody waits and then looks at the bit; a landing clears the bit
 *       and then looks who waits. One of the two sees the other.
 *   <dt>The end, while the guest faults
 *   <dd>UFFDIO_UNREGISTER wakes who waits and then shuts out who is on the way to wait, in this
 *       order (Linux 6.18): a fault in between would sleep for ever. Therefore the range is woken
 *       once more afterwards, when no new fault can begin to wait.
 *   <dt>This process is killed
 *   <dd>The guest holds a descriptor of its own, its threads wait. The next agent gets the same
 *       descriptor and wakes every thread: those whose page is not there fault again. A REMOVE that
 *       was read and whose bits were not yet cleared, some microseconds of work, is the one thing
 *       that such a death forgets.
 * </dl>
 *
 * <p>Huge pages land whole: what has come of one is gathered beside it until nothing of it is
 * missing, and a fault asks for all of it.
 */
@NullMarked
package io.pageferry.guest.fault;

import org.jspecify.annotations.NullMarked;
