/** {@code pageferry pki}: the certificates of the agents. */
@NullMarked
package io.pageferry.agent.pki;

import org.jspecify.annotations.NullMarked;
