package io.pageferry.integration.demo;

import org.jspecify.annotations.Nullable;

/**
 * What a guest says of itself after a migration.
 *
 * @param running whether it runs
 * @param clock by what it, or whoever watched it, knew how long it stood still
 * @param downtimeMillis how long it stood still while it changed hosts; 0 when it did not
 * @param longestGapMillis the longest time in which nothing was seen of it
 * @param pages how many pages it should have checked
 * @param pagesVerified how many pages it checked
 * @param faults how many damaged pages it has ever found
 * @param firstFault the first of them in its words, where it found any
 * @param operations what it has written since it began
 */
record Testimony(
    boolean running,
    String clock,
    double downtimeMillis,
    double longestGapMillis,
    long pages,
    long pagesVerified,
    long faults,
    @Nullable String firstFault,
    long operations) {

  /** Whether it checked every page and found each as it left it. */
  boolean foundNothing() {
    return faults == 0 && pagesVerified >= pages;
  }
}
