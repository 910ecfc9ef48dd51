package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.pageferry.guest.dirty.GuestGoneException;
import io.pageferry.guest.fault.FaultService;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageBatch;
import java.io.IOException;

/**
 * Lands pages in a guest that may be running, which only its fault service may do. What the guest
 * has already stays as it is and does not count: a page that comes twice changes neither the guest
 * nor the digest.
 */
final class FaultBerth implements Berth {
  private final FaultService faults;
  private final ImageDigest.Stripe stripe;

  FaultBerth(FaultService faults, ImageDigest.Stripe stripe) {
    this.faults = faults;
    this.stripe = stripe;
  }

  @Override
  public void pages(int region, long firstPage, ByteBuf data) throws IOException {
    int begin = data.readerIndex();
    try {
      faults.land(
          region,
          firstPage,
          data.nioBuffer(),
          (of, first, count) ->
              stripe.pages(
                  of,
                  first,
                  data.slice(
                      begin + Math.toIntExact((first - firstPage) * PageBatch.PAGE_BYTES),
                      Math.toIntExact(count * PageBatch.PAGE_BYTES))));
    } catch (GuestGoneException e) {
      // The service says so itself, and there is nobody left to bring pages to.
    }
  }

  @Override
  public void zero(int region, long firstPage, long count) throws IOException {
    try {
      faults.landZero(region, firstPage, count, stripe::zero);
    } catch (GuestGoneException e) {
      // The service says so itself, and there is nobody left to bring pages to.
    }
  }

  @Override
  public void flush() {
    // Nothing is put off: somebody may be waiting for it.
  }
}
