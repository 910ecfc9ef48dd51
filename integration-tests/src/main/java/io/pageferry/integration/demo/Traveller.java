package io.pageferry.integration.demo;

import io.pageferry.integration.process.Caller;
import io.pageferry.integration.process.GuestSpec;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import java.io.IOException;
import java.util.Optional;

/** A guest that the demo moves, from its start on the source to what it says on the target. */
interface Traveller extends AutoCloseable {
  /** What it is on both hosts; after {@link #start}. */
  GuestSpec spec();

  /** What it is, for people: {@code a guest of 512M that writes 20MB/s}. */
  String description();

  /**
   * Makes the hosts that it moves between; before all else.
   *
   * @throws IOException if that fails
   * @throws InterruptedException if this thread was interrupted
   */
  Scene scene() throws IOException, InterruptedException;

  /**
   * Starts it; it may need a while until it runs.
   *
   * @throws IOException if it cannot be started
   * @throws InterruptedException if this thread was interrupted
   */
  void start(SourceHost source) throws IOException, InterruptedException;

  /** Waits until it runs and its memory is written. */
  void awaitReady() throws IOException, InterruptedException;

  /** Describes it to the target, before the migration. */
  void announceTo(TargetHost target) throws IOException;

  /** Its process on the source. */
  RunningProcess process();

  /** Has it check its memory on the target, where it has arrived. */
  Testimony testifyThere() throws IOException, InterruptedException;

  /** Has it check its memory on the source, where it stayed. */
  Testimony testifyHere() throws IOException, InterruptedException;

  /** What a client said to it throughout, where there was one; after {@link #testifyThere}. */
  Optional<Caller.Conversation> conversation();

  /** Ends it on the target. */
  void quitThere() throws IOException;

  @Override
  void close();
}
