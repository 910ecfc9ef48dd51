/**
 * A guest's memory as files on this host: tmpfs, an ordinary file system, hugetlbfs, or a memfd by
 * its path below {@code /proc/PID/fd}. Holes stay holes: what was never written is never read
 * through a mapping and takes no memory.
 */
@NullMarked
package io.pageferry.guest.image;

import org.jspecify.annotations.NullMarked;
