/** Benchmarks on real processes, each figure beside a yardstick measured in the same run. */
@NullMarked
package io.pageferry.integration.bench;

import org.jspecify.annotations.NullMarked;
