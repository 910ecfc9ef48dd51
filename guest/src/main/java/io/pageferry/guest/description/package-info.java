/** What a guest is, as its YAML file says: memory images, control, tracking, how to launch it. */
@NullMarked
package io.pageferry.guest.description;

import org.jspecify.annotations.NullMarked;
