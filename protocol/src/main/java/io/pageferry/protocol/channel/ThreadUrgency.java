package io.pageferry.protocol.channel;

/**
 * Has the system run a thread before others, where it can: the one of an urgent channel's event
 * loop. Otherwise a page that a guest waits for would also wait until the threads that push pages
 * have had their turn. Called on the thread itself; what the system refuses is left as it is.
 */
public interface ThreadUrgency {
  /** All threads take their turns. */
  ThreadUrgency NONE =
      new ThreadUrgency() {
        @Override
        public void begin() {}

        @Override
        public void end() {}
      };

  /** From now on the calling thread runs before others. */
  void begin();

  /** The calling thread takes its turns again. */
  void end();
}
