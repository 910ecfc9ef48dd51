/** The authority that names agents: issues, renews and revokes their certificates, in files. */
@NullMarked
package io.pageferry.protocol.pki;

import org.jspecify.annotations.NullMarked;
