/** The report of one migration, as JSON for programs and as a few lines for people. */
@NullMarked
package io.pageferry.agent.report;

import org.jspecify.annotations.NullMarked;
