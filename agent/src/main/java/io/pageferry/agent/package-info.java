@NullMarked
package io.pageferry.agent;

import org.jspecify.annotations.NullMarked;
