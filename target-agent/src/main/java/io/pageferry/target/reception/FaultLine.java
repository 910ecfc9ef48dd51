package io.pageferry.target.reception;

import io.pageferry.guest.fault.FaultSink;
import io.pageferry.protocol.message.PageRequest;
import java.io.IOException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Where the guest's faults go: to the source, by whichever fault channel there is. What is asked
 * for while there is none is asked again by {@link
 * io.pageferry.guest.fault.FaultService#repeatRequests} when there is one.
 *
 * <p>Any thread; nothing here blocks.
 */
final class FaultLine implements FaultSink {
  private final ReceptionInbox inbox;
  private final ReceptionMeters meters;
  private volatile @Nullable RequestChannel channel;

  FaultLine(ReceptionInbox inbox, ReceptionMeters meters) {
    this.inbox = inbox;
    this.meters = meters;
  }

  /** From here on pages are asked for there; nowhere for null. */
  void use(@Nullable RequestChannel next) {
    channel = next;
  }

  @Override
  public void request(int region, long[] pages, int count) {
    RequestChannel asked = channel;
    if (asked != null) {
      asked.ask(new PageRequest(region, Arrays.copyOf(pages, count)));
      meters.requested(count);
    }
  }

  @Override
  public void served(long nanos) {
    meters.served(nanos);
  }

  @Override
  public void guestGone() {
    inbox.put(new ReceptionEvent.GuestEnded("the guest's process on the target ended"));
  }

  @Override
  public void failed(IOException cause) {
    inbox.put(new ReceptionEvent.FaultsFailed(cause));
  }
}
