/** Who owns a guest, on disk: one small append-only file for each migration on each side. */
@NullMarked
package io.pageferry.agent.ledger;

import org.jspecify.annotations.NullMarked;
