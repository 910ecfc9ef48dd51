package io.pageferry.guest.attach;

import io.pageferry.guest.linux.ProcessStatus;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Attaches to a process that is of no use, before it counts: the first time takes this process ten
 * milliseconds, because none of that code was run before, and a thread of the guest would be held
 * for as long.
 */
final class AttachRehearsal {
  private static final Logger LOG = LoggerFactory.getLogger(AttachRehearsal.class);

  /** The process is not a child of ours, whose first thread must not be held. */
  private static final String SLEEPER = "sleep 60 & echo $!; read _; kill $!";

  /** Afterwards nothing is new any more; each takes half a millisecond. */
  private static final int TIMES = 20;

  private static final int NO_DESCRIPTOR = -1;
  private static final int LIMIT_MILLIS = 500;
  private static boolean done;

  private AttachRehearsal() {}

  /** Has an effect once in the life of this process; some ten milliseconds. Any thread. */
  static synchronized void run() {
    if (done) {
      return;
    }
    done = true;
    try {
      Process shell = new ProcessBuilder("sh", "-c", SLEEPER).start();
      // Closing its input ends both of them, and so does the end of this process.
      try (OutputStream _ = shell.getOutputStream();
          BufferedReader said =
              new BufferedReader(
                  new InputStreamReader(shell.getInputStream(), StandardCharsets.UTF_8))) {
        int sleeper = Integer.parseInt(String.valueOf(said.readLine()));
        awaitProgram(sleeper);
        GuestThreads threads = GuestThreads.ofOwn(sleeper);
        for (int i = 0; i < TIMES; i++) {
          threads.close(NO_DESCRIPTOR);
        }
      }
    } catch (IOException | NumberFormatException e) {
      LOG.debug("attaching was not rehearsed", e);
    }
  }

  /** Until then it is the shell, whose code goes away under whoever looks at it. */
  private static void awaitProgram(int sleeper) throws IOException {
    for (int i = 0; i < LIMIT_MILLIS && !ProcessStatus.of(sleeper).name().equals("sleep"); i++) {
      LockSupport.parkNanos(1_000_000);
    }
  }
}
