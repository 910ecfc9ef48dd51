/** An agent's meters, served to Prometheus over HTTP. */
@NullMarked
package io.pageferry.agent.metrics;

import org.jspecify.annotations.NullMarked;
