/**
 * The demo: a guest that never stops writing moves between two agents on this machine, and says
 * itself how it went.
 */
@NullMarked
package io.pageferry.integration.demo;

import org.jspecify.annotations.NullMarked;
