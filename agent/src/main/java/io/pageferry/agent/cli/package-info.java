/**
 * What every command of Pageferry has in common: exit codes, one-sentence errors, options,
 * progress.
 */
@NullMarked
package io.pageferry.agent.cli;

import org.jspecify.annotations.NullMarked;
