/**
 * Every foreign call of the project, by the Java 25 Foreign Function and Memory API. Nothing
 * outside this package uses a {@link java.lang.foreign.Linker}; numbers and layouts are in one
 * class, which a test compares with their definitions in C.
 */
@NullMarked
package io.pageferry.guest.linux;

import org.jspecify.annotations.NullMarked;
