/** Control messages: one record each, and the one place that knows their bytes. */
@NullMarked
package io.pageferry.protocol.message;

import org.jspecify.annotations.NullMarked;
