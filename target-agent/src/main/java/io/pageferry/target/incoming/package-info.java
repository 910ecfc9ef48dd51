/**
 * The guest that is on its way here: its reserved memory, its waiting process, its page faults, its
 * ledger.
 */
@NullMarked
package io.pageferry.target.incoming;

import org.jspecify.annotations.NullMarked;
