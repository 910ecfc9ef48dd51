package io.pageferry.agent.cli;

import io.pageferry.guest.linux.KernelFeatures;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.ThreadPriority;
import io.pageferry.protocol.channel.ThreadUrgency;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The thread of a fault channel runs before all that are not real-time, where that is allowed. */
final class FaultThreadUrgency implements ThreadUrgency {
  private static final Logger LOG = LoggerFactory.getLogger(FaultThreadUrgency.class);

  @Override
  public void begin() {
    if (KernelFeatures.probed().has(KernelFeatures.URGENT_THREADS)) {
      try {
        ThreadPriority.first();
      } catch (LinuxException e) {
        LOG.debug("page faults take their turns with everything else", e);
      }
    }
  }

  @Override
  public void end() {
    ThreadPriority.inTurn();
  }
}
