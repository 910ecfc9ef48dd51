@NullMarked
package io.pageferry.integration;

import org.jspecify.annotations.NullMarked;
