package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.ProtocolException;

/** Memory that is the guest's own: before its faults are served nothing can land there. */
final class NoBerth implements Berth {
  @Override
  public void pages(int region, long firstPage, ByteBuf data) throws ProtocolException {
    throw refused();
  }

  @Override
  public void zero(int region, long firstPage, long count) throws ProtocolException {
    throw refused();
  }

  @Override
  public void flush() {
    // Nothing lands here.
  }

  private static ProtocolException refused() {
    return ProtocolException.violation(
        "pages came in a round for a guest that only post-copy can bring");
  }
}
