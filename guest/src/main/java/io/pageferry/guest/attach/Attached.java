package io.pageferry.guest.attach;

import io.pageferry.guest.handover.GuestHandover;
import java.time.Duration;

/**
 * What came of an attach.
 *
 * @param handover the caller's; its memory is registered
 * @param held how long one thread of the guest was held, at most: from when it was last seen to run
 *     to letting it go. Zero if nothing had to be injected. Its other threads ran meanwhile
 * @param found whether the descriptor of an earlier attach was taken up again
 */
public record Attached(GuestHandover handover, Duration held, boolean found) {}
