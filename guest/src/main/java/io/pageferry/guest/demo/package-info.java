/**
 * The demo guest: a program that keeps its whole state in a mapped file and in a few registers,
 * never stops writing, and finds every page that a migration lost, tore, mixed up or held back.
 */
@NullMarked
package io.pageferry.guest.demo;

import org.jspecify.annotations.NullMarked;
