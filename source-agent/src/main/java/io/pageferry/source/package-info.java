/**
 * The source agent: plans and drives one migration, from the first round to the hand-over, and to
 * the last page where the guest moves first.
 *
 * <p>{@link io.pageferry.source.Migration} is its beginning and its end, {@link
 * io.pageferry.source.Course} what comes between them in each mode. Where it fails, {@link
 * io.pageferry.source.Rescue} sees to the guest, and {@link io.pageferry.source.Recovery} where the
 * agent itself is no more.
 *
 * <p>The way of a page reads off the class names: a {@code DirtyTracker} reports runs of pages into
 * {@link io.pageferry.source.DirtyPages}; {@link io.pageferry.source.RoundSender} hands them, run
 * by run, to the {@link io.pageferry.source.PageSender} of each data channel, which reads, digests,
 * encodes and sends them. {@link io.pageferry.source.Convergence} decides after each round whether
 * another one pays, and {@link io.pageferry.source.Switchover} moves the guest itself.
 *
 * <p>In post-copy the guest moves first ({@link io.pageferry.source.PostCopySwitch}): {@link
 * io.pageferry.source.PageService} sends what it waits for, {@link io.pageferry.source.PushPlan}
 * what it is likely to need next, and {@link io.pageferry.source.Resumption} goes on where a
 * connection broke.
 */
@NullMarked
package io.pageferry.source;

import org.jspecify.annotations.NullMarked;
