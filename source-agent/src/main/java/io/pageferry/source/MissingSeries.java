package io.pageferry.source;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.PageSpan;
import java.util.ArrayList;
import java.util.List;

/**
 * Names to the target what it does not have, in as many messages as it takes. Most of them go out
 * while the guest still runs; {@link #end} completes the series. Driver thread only.
 */
final class MissingSeries {
  private final TargetLink link;
  private final List<Missing> full = new ArrayList<>();
  private final List<PageSpan> spans = new ArrayList<>();
  private int region;
  private long end;

  MissingSeries(TargetLink link) {
    this.link = link;
  }

  /** Adds a run, to be sent by the next {@link #flush}; no page may be named twice. */
  void add(int ofRegion, long firstPage, long count) {
    if (ofRegion != region || firstPage < end || spans.size() == Missing.MAX_SPANS) {
      close(false);
    }
    region = ofRegion;
    spans.add(new PageSpan(firstPage, count));
    end = firstPage + count;
  }

  /** Sends what was added so far. */
  void flush() throws ProtocolException {
    if (!spans.isEmpty()) {
      close(false);
    }
    send();
  }

  /** Sends the rest: nothing else is missing. */
  void end() throws ProtocolException {
    close(true);
    send();
  }

  private void close(boolean last) {
    if (last || !spans.isEmpty()) {
      full.add(new Missing(region, last, spans));
    }
    spans.clear();
    end = 0;
  }

  private void send() throws ProtocolException {
    for (Missing message : full) {
      link.send(message);
    }
    full.clear();
  }
}
