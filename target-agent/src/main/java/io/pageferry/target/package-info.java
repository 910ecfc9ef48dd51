/**
 * The target agent: its command line ({@link io.pageferry.target.TargetAgent}) and the server that
 * takes in peers and gives each migration to a {@code Reception}.
 */
@NullMarked
package io.pageferry.target;

import org.jspecify.annotations.NullMarked;
