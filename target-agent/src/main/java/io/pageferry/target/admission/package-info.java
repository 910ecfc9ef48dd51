/**
 * Who may send what, and whether this host can take it: everything that is settled before the first
 * page of a migration is asked for.
 */
@NullMarked
package io.pageferry.target.admission;

import org.jspecify.annotations.NullMarked;
