/**
 * Where on this host a page's content may be found by its digest: in the memory of the guest that
 * is arriving, in that of others, in files that the operator names. Whatever is written down here
 * is a hint; only bytes that were read and hashed are used.
 */
@NullMarked
package io.pageferry.target.content;

import org.jspecify.annotations.NullMarked;
