/** One migration from its offer to a guest that runs here, or to nothing left behind. */
@NullMarked
package io.pageferry.target.reception;

import org.jspecify.annotations.NullMarked;
