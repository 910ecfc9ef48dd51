@NullMarked
package io.pageferry.protocol;

import org.jspecify.annotations.NullMarked;
