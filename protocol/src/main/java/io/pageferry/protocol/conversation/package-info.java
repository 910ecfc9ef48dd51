/**
 * The order in which messages may come: one state machine for each side, free of input and output.
 */
@NullMarked
package io.pageferry.protocol.conversation;

import org.jspecify.annotations.NullMarked;
