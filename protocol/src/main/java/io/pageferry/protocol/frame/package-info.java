/**
 * Frames: the sixteen bytes in front of everything that crosses the wire, and the two handlers that
 * turn a byte stream into frames and messages into bytes.
 */
@NullMarked
package io.pageferry.protocol.frame;

import org.jspecify.annotations.NullMarked;
