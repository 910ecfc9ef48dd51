@NullMarked
package io.pageferry.guest;

import org.jspecify.annotations.NullMarked;
