/** TLS 1.3 with mutual authentication against one authority of our own, on one of three engines. */
@NullMarked
package io.pageferry.protocol.tls;

import org.jspecify.annotations.NullMarked;
