/**
 * The source agent: plans and drives one migration, from the first round to the hand-over.
 *
 * <p>The way of a page reads off the class names: a {@code DirtyTracker} reports runs of pages into
 * {@link io.pageferry.source.DirtyPages}; {@link io.pageferry.source.RoundSender} hands them, run
 * by run, to the {@link io.pageferry.source.PageSender} of each data channel, which reads, digests,
 * encodes and sends them. {@link io.pageferry.source.Convergence} decides after each round whether
 * another one pays, and {@link io.pageferry.source.Switchover} moves the guest itself.
 */
@NullMarked
package io.pageferry.source;

import org.jspecify.annotations.NullMarked;
