/** Talking to an agent that runs on this host: status and cancel over a Unix socket. */
@NullMarked
package io.pageferry.agent.local;

import org.jspecify.annotations.NullMarked;
