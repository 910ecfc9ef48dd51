/**
 * What the ledgers are asked afterwards: by a source that lost a reply, and by the sweep after a
 * crash.
 */
@NullMarked
package io.pageferry.target.recovery;

import org.jspecify.annotations.NullMarked;
