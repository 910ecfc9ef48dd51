/**
 * Pages on the wire: how a run of guest pages becomes one frame and lands again. Page bytes live in
 * direct memory only, never on the Java heap.
 */
@NullMarked
package io.pageferry.protocol.page;

import org.jspecify.annotations.NullMarked;
