package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.protocol.frame.Crc32c;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.message.ChannelRole;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A source that answers page faults wrongly, as a relay between two honest agents makes it: the
 * guest never sees what it must not see, and gets its memory in the end.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 180, unit = TimeUnit.SECONDS)
final class TamperedPagesTest {
  private static final int FAILED = 1;

  /** Where a PAGES payload has the first run's page, and its data. */
  private static final int FIRST_PAGE = FrameHeader.BYTES + 8;

  private static final int FIRST_DATA = FrameHeader.BYTES + 8 + 20;

  /** How a page request is answered; a few times each, then rightly. */
  enum Answer {
    DAMAGED(1) {
      @Override
      List<byte[]> page(byte[] frame) {
        byte[] damaged = frame.clone();
        damaged[FIRST_DATA + 100] ^= 1;
        return List.of(damaged);
      }
    },
    TWICE(5) {
      @Override
      List<byte[]> page(byte[] frame) {
        return List.of(frame, frame);
      }
    },
    A_PAGE_THAT_THE_GUEST_DOES_NOT_HAVE(1) {
      @Override
      List<byte[]> page(byte[] frame) {
        return List.of(rewritten(frame, FIRST_PAGE, 1L << 40));
      }
    },
    NEVER(Integer.MAX_VALUE) {
      @Override
      List<byte[]> request(byte[] frame) {
        return List.of();
      }
    },
    ANOTHER_PAGE(200) {
      @Override
      List<byte[]> request(byte[] frame) {
        // u16 region, u16 count, 4 × 0, then the pages: its neighbour is asked for instead.
        int first = FrameHeader.BYTES + 8;
        return List.of(rewritten(frame, first, Unpooled.wrappedBuffer(frame).getLongLE(first) ^ 1));
      }
    };

    private final int times;

    Answer(int times) {
      this.times = times;
    }

    List<byte[]> page(byte[] frame) {
      return List.of(frame);
    }

    List<byte[]> request(byte[] frame) {
      return List.of(frame);
    }

    private List<byte[]> of(Relay.Passing frame) {
      return switch (frame.type()) {
        case PAGES -> page(frame.bytes());
        case PAGE_REQUEST -> request(frame.bytes());
        default -> List.of(frame.bytes());
      };
    }

    /** Answers so as long as there are times left, then rightly. */
    Relay.Censor censor(AtomicInteger left) {
      return (relay, frame) -> {
        if (frame.role() != ChannelRole.FAULT) {
          return List.of(frame.bytes());
        }
        List<byte[]> passed = of(frame);
        boolean honest = passed.size() == 1 && Arrays.equals(passed.getFirst(), frame.bytes());
        return honest || left.getAndDecrement() <= 0 ? List.of(frame.bytes()) : passed;
      };
    }
  }

  private static byte[] rewritten(byte[] frame, int at, long value) {
    byte[] other = frame.clone();
    ByteBuf view = Unpooled.wrappedBuffer(other);
    view.setLongLE(at, value);
    return sealed(other);
  }

  /** With the checksums that belong to it. */
  private static byte[] sealed(byte[] frame) {
    ByteBuf view = Unpooled.wrappedBuffer(frame);
    int length = frame.length - FrameHeader.BYTES;
    FrameType type = frame[4] == FrameType.PAGES.code() ? FrameType.PAGES : FrameType.PAGE_REQUEST;
    FrameHeader.write(view, 0, type, length, Crc32c.of(view, FrameHeader.BYTES, length));
    return frame;
  }

  private static Journey begin(Hosts hosts, Relay relay, TargetHost target) throws Exception {
    DemoGuestSpec spec =
        DemoGuestSpec.uniform(hosts.guestName(), "24M", "20MB/s").withPattern("random");
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    return Journey.begin(
        hosts.source(),
        relay,
        target,
        guest,
        PeerSecurity.plaintext(),
        "--mode",
        "postcopy",
        "--push",
        "active",
        "--bandwidth",
        "16MB/s");
  }

  @ParameterizedTest
  @EnumSource(Answer.class)
  void aPageRequestIsAnswered(Answer answer, Hosts hosts) throws Exception {
    TargetHost target = hosts.target(PeerSecurity.plaintext());
    AtomicInteger left = new AtomicInteger(answer.times);
    try (Relay relay = Relay.to(target, answer.censor(left))) {
      JsonNode report = begin(hosts, relay, target).assertArrived();
      assertThat(report.path("faults").path("count").asLong()).isPositive();
      assertThat(left).describedAs("times left").hasValueLessThan(answer.times);
    }
  }

  @Test
  void aForgedPageIsFoundOutInTheEnd(Hosts hosts) throws Exception {
    TargetHost target = hosts.target(PeerSecurity.plaintext());
    AtomicInteger left = new AtomicInteger(1);
    Relay.Censor forger =
        (relay, frame) -> {
          if (frame.role() != ChannelRole.FAULT
              || frame.type() != FrameType.PAGES
              || left.getAndDecrement() <= 0) {
            return List.of(frame.bytes());
          }
          return List.of(rewritten(frame.bytes(), FIRST_DATA + 1024, 42));
        };
    try (Relay relay = Relay.to(target, forger)) {
      Journey journey = begin(hosts, relay, target);
      assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(FAILED);
      journey.assertSaid("what arrived on the target is not what was sent", "stays paused");
      assertThat(journey.departure().report().path("verified").asBoolean()).isFalse();
      assertThat(journey.guest().isRunning()).isFalse();
      assertThat(journey.guest().verify().path("faultsFound").asLong()).isZero();
      journey.guest().quit();
      DemoGuest.arrivedAt(target, journey.guest().spec()).quit();
      journey.settledOnTarget();
    }
  }
}
