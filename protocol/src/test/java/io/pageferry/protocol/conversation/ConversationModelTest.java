package io.pageferry.protocol.conversation;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.DirtySummary;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.KeepAlive;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.PostcopyWish;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.Progress;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Started;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Drives both sides with random events, legal and illegal, and compares each verdict with a model
 * that is made differently: the order on the control channel is a regular expression over one
 * letter a message, and the data channels are a few counters.
 */
class ConversationModelTest {
  private static final int CHANNELS = 3;
  private static final UUID MIGRATION = new UUID(1, 2);

  /**
   * H hello, W welcome, Q question, A its answer, O offer, K accepted, r round, R last round, l
   * landed, d device state, D its last piece, V digest, P prepared, M mismatch, C commit, S
   * started, G goodbye.
   */
  private static final Pattern CONTROL =
      Pattern.compile("HW(?:QA)*(?:G|OK(?:rl)*R(?:d*ld*DV|d*DlV|d*DVl)(?:M|PCSG))");

  /** What may happen, as one letter of the model; data channel events have none. */
  private enum Event {
    HELLO('H'),
    WELCOME('W'),
    QUESTION('Q'),
    ANSWER('A'),
    OFFER('O'),
    ACCEPTED('K'),
    ROUND('r'),
    LAST_ROUND('R'),
    LANDED('l'),
    DEVICE('d'),
    DEVICE_LAST('D'),
    DIGEST('V'),
    PREPARED('P'),
    MISMATCH('M'),
    COMMIT('C'),
    STARTED('S'),
    GOODBYE('G'),
    SOURCE_ABORT('x'),
    TARGET_ABORT('y'),
    KEEP_ALIVE(' '),
    PROGRESS(' '),
    SUMMARY(' '),
    PAGES(' '),
    ROUND_END(' ');

    private final char letter;

    Event(char letter) {
      this.letter = letter;
    }
  }

  private static final Set<Phase> POSTCOPY =
      EnumSet.of(Phase.SWITCHING, Phase.LOADING, Phase.RESUMING, Phase.FETCHING);
  private static final List<Event> EVENTS = List.of(Event.values());
  private static final Set<Event> BY_TARGET =
      EnumSet.of(
          Event.WELCOME,
          Event.ANSWER,
          Event.ACCEPTED,
          Event.LANDED,
          Event.PREPARED,
          Event.MISMATCH,
          Event.STARTED,
          Event.TARGET_ABORT,
          Event.PROGRESS);

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void bothSidesJudgeEveryEventAsTheModelDoes(long seed) throws Exception {
    Map<Phase, Integer> reached = new EnumMap<>(Phase.class);
    for (int walk = 0; walk < 120; walk++) {
      boolean target = walk % 2 == 1;
      // Illegal events leave the state as it is, so a walk gets far although most of it is refused.
      walk(new Random((seed * 1000 + walk) * 0x9E3779B97F4A7C15L), target, reached);
    }
    Set<Phase> missed = EnumSet.allOf(Phase.class);
    missed.removeAll(reached.keySet());
    missed.removeAll(POSTCOPY);
    assertThat(missed).isEmpty();
  }

  private static void walk(Random random, boolean target, Map<Phase, Integer> reached)
      throws Exception {
    SourceConversation source = new SourceConversation();
    TargetConversation receiver = new TargetConversation();
    Conversation conversation = target ? receiver : source;
    Model model = new Model(target);
    boolean abortAllowed = random.nextInt(4) == 0;
    for (int step = 0; step < 1500; step++) {
      Event event = EVENTS.get(random.nextInt(EVENTS.size()));
      boolean abort = event == Event.SOURCE_ABORT || event == Event.TARGET_ABORT;
      if (abort && (!abortAllowed || random.nextInt(30) != 0)) {
        continue;
      }
      int channel = random.nextInt(20) == 0 ? random.nextInt(-1, 5) : random.nextInt(CHANNELS);
      int round = Math.max(1, model.landed + 1 + skew(random));
      long extra = random.nextInt(20) == 0 ? 1 : 0;
      boolean legal = model.legal(event, channel, round, extra);
      Phase before = conversation.phase();
      try {
        switch (event) {
          case PAGES -> {
            if (target) {
              receiver.pagesReceived(channel, round);
            } else {
              source.pagesSent(channel, round);
            }
          }
          case ROUND_END -> {
            if (target) {
              receiver.roundEndReceived(channel, new RoundEnd(round, 7));
            } else {
              source.roundEndSent(channel, new RoundEnd(round, 7));
            }
          }
          default -> {
            Message message = message(event, model, round, extra);
            if (target == BY_TARGET.contains(event)) {
              if (target) {
                receiver.sent(message);
              } else {
                source.sent(message);
              }
            } else if (target) {
              receiver.received(message);
            } else {
              source.received(message);
            }
          }
        }
        assertThat(legal).as("%s of %d was taken in %s", event, round, before).isTrue();
        model.happened(event, channel, round);
      } catch (ProtocolException e) {
        assertThat(legal).as("%s of %d was refused in %s", event, round, before).isFalse();
        assertThat(e.reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
        assertThat(conversation.phase()).isEqualTo(before);
      }
      reached.merge(conversation.phase(), 1, Integer::sum);
    }
  }

  private static int skew(Random random) {
    return random.nextInt(10) == 0 ? random.nextInt(-1, 2) : 0;
  }

  private static Message message(Event event, Model model, int round, long extra) {
    return switch (event) {
      case HELLO ->
          new Hello(
              VersionRange.CURRENT,
              ChannelRole.CONTROL,
              Capabilities.CURRENT,
              Limits.CURRENT,
              "model",
              Hello.NO_MIGRATION,
              new byte[0],
              0);
      case WELCOME -> new Welcome(1 + (int) extra, Capabilities.CURRENT, Limits.CURRENT, "model");
      case QUESTION -> new OwnershipQuery(MIGRATION);
      case ANSWER -> new Ownership(new UUID(1, 2 + extra), OwnershipState.PREPARED);
      case OFFER ->
          new Offer(
              MIGRATION,
              "demo",
              MigrationMode.PRECOPY,
              PostcopyWish.IF_POSSIBLE,
              List.of(new RegionOffer("ram", 4096)),
              CHANNELS,
              false,
              0);
      case ACCEPTED -> {
        byte[] token = new byte[Hello.TOKEN_BYTES];
        yield new Accepted(
            extra == 0 ? List.of(token, token, token) : List.of(token, token, token, token), 0);
      }
      case ROUND -> new RoundBegin(round, false, 1);
      case LAST_ROUND -> new RoundBegin(round, true, 1);
      case LANDED -> new RoundLanded(round, 7 * CHANNELS + extra);
      case DEVICE -> new DeviceState(model.deviceBytes + extra, false, new byte[5]);
      case DEVICE_LAST -> new DeviceState(model.deviceBytes + extra, true, new byte[5]);
      case DIGEST -> new DigestValue(1, 2, false);
      case PREPARED -> new Prepared(true, 1, 2);
      case MISMATCH -> new Prepared(false, 1, 3);
      case COMMIT -> new Commit();
      case STARTED -> new Started(0, 0, 0, 0, 0);
      case GOODBYE -> new Goodbye();
      case SOURCE_ABORT, TARGET_ABORT -> new Abort(AbortReason.CANCELLED, "enough");
      case KEEP_ALIVE -> new KeepAlive(0);
      case PROGRESS -> new Progress(1);
      case SUMMARY -> new DirtySummary(round, (int) extra, 1, List.of());
      case PAGES, ROUND_END -> throw new IllegalArgumentException(event.name());
    };
  }

  /** The other way to say what is allowed. */
  private static final class Model {
    private final boolean target;
    private final int[] lastEnded = new int[CHANNELS];
    private String history = "";
    private boolean aborted;
    private int begun;
    private int landed;
    private int deviceBytes;

    Model(boolean target) {
      this.target = target;
    }

    boolean legal(Event event, int channel, int round, long extra) {
      if (event == Event.KEEP_ALIVE) {
        return true;
      }
      if (event == Event.SOURCE_ABORT) {
        return aborted || (!said('C') && !said('G'));
      }
      if (event == Event.TARGET_ABORT) {
        return aborted || (!said('S') && !said('G'));
      }
      if (aborted) {
        return false;
      }
      boolean judged = said('P') || said('M');
      return switch (event) {
        case PAGES, ROUND_END -> openFor(channel, round);
        case PROGRESS -> said('K') && !judged;
        case SUMMARY -> extra == 0 && round == begun && begun > 0 && !said('V');
        case ROUND, LAST_ROUND -> prefix(event) && round == begun + 1;
        case LANDED -> prefix(event) && round == begun && allEnded() && extra == 0;
        case DIGEST -> prefix(event) && (target || allEnded());
        case WELCOME, ANSWER, ACCEPTED, DEVICE, DEVICE_LAST -> prefix(event) && extra == 0;
        default -> prefix(event);
      };
    }

    void happened(Event event, int channel, int round) {
      switch (event) {
        case SOURCE_ABORT, TARGET_ABORT -> aborted = true;
        case ROUND, LAST_ROUND -> begun++;
        case LANDED -> landed++;
        case DEVICE, DEVICE_LAST -> deviceBytes += 5;
        case ROUND_END -> lastEnded[channel] = round;
        default -> {}
      }
      if (event.letter != ' ') {
        history += event.letter;
      }
    }

    private boolean openFor(int channel, int round) {
      boolean lastLanded = said('R') && begun == landed;
      return channel >= 0
          && channel < CHANNELS
          && said('K')
          && !lastLanded
          && round == landed + 1
          && lastEnded[channel] < round
          && (target || round == begun);
    }

    private boolean allEnded() {
      for (int ended : lastEnded) {
        if (ended != begun) {
          return false;
        }
      }
      return true;
    }

    private boolean said(char letter) {
      return history.indexOf(letter) >= 0;
    }

    /** Whether the history with this event can still become a whole conversation. */
    @SuppressWarnings("JdkObsolete") // "could still match if more came" is just what is asked
    private boolean prefix(Event event) {
      Matcher matcher = CONTROL.matcher(history + event.letter);
      return matcher.matches() || matcher.hitEnd();
    }
  }
}
