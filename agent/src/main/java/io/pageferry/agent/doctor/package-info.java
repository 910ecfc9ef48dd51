/** {@code pageferry doctor}: what this host can do, and what to grant where it cannot. */
@NullMarked
package io.pageferry.agent.doctor;

import org.jspecify.annotations.NullMarked;
