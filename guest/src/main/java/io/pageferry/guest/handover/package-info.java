/**
 * How a guest hands a userfaultfd on its memory to an agent: in Firecracker's message, once, over a
 * Unix socket that stays open for as long as the agent uses it. The same message serves to follow
 * writes on the source and to serve missing pages on the target.
 */
@NullMarked
package io.pageferry.guest.handover;

import org.jspecify.annotations.NullMarked;
