/** What an agent goes through with nobody before it counts, so that it is loaded and compiled. */
@NullMarked
package io.pageferry.protocol.rehearsal;

import org.jspecify.annotations.NullMarked;
