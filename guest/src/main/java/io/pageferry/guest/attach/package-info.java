/**
 * How memory is followed or served of a guest that knows nothing of it, an unmodified QEMU above
 * all: one thread of its process is stopped and made to run one {@code userfaultfd} system call,
 * and goes on where it was. What comes of it is the same as what a cooperating guest hands over.
 */
@NullMarked
package io.pageferry.guest.attach;

import org.jspecify.annotations.NullMarked;
