/**
 * Memory images of guests that are not here any more, or never quite came: kept for a while, so
 * that a guest that comes back brings only what has changed.
 */
@NullMarked
package io.pageferry.agent.copies;

import org.jspecify.annotations.NullMarked;
