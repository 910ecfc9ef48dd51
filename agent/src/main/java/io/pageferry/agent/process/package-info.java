/** The processes that an agent starts for a guest and that may outlive it. */
@NullMarked
package io.pageferry.agent.process;

import org.jspecify.annotations.NullMarked;
