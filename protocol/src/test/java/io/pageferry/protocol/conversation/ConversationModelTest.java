package io.pageferry.protocol.conversation;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.DirtySummary;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.KeepAlive;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.message.PostcopyWish;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.Progress;
import io.pageferry.protocol.message.Recall;
import io.pageferry.protocol.message.Recalled;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.Resume;
import io.pageferry.protocol.message.Resumed;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.message.Started;
import io.pageferry.protocol.message.Switch;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
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
 * letter a message, and the other channels are a few counters.
 */
class ConversationModelTest {
  private static final int CHANNELS = 3;

  /** Behind the data channels. */
  private static final int FAULT_CHANNEL = CHANNELS;

  private static final int PAGES_IN_ALL = 8;
  private static final int RESUMED_ROUND = 9;
  private static final List<RegionOffer> LAYOUT =
      List.of(new RegionOffer("ram", PAGES_IN_ALL * 4096L));
  private static final int WALKS = 120;
  private static final int STEPS = 2000;
  private static final UUID MIGRATION = new UUID(1, 2);

  /**
   * H hello, W welcome, Q question, A its answer, O offer, K accepted, r round, R last round, l
   * landed, d device state, D its last piece, V digest, P prepared, M mismatch, C commit, S
   * started, G goodbye; m missing at the target, N the last of it, X switch, T settled; U resume, u
   * resumed, n still missing, L the last of it.
   */
  private static final Pattern CONTROL =
      Pattern.compile(
          "HW(?:QA)*(?:G"
              + "|OK(?:rl)*(?:R(?:d*ld*DV|d*DlV|d*DVl)(?:M|PCSG)|m*Nd*DXPCSlVTG)"
              + "|Uun*LlVTG)");

  /** What may happen, as one letter of the model; events of other channels have none. */
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
    MISSING('m'),
    MISSING_LAST('N'),
    SWITCH('X'),
    SETTLED('T'),
    RESUME('U'),
    RESUMED('u'),
    STILL_MISSING('n'),
    STILL_MISSING_LAST('L'),
    SOURCE_ABORT('x'),
    TARGET_ABORT('y'),
    KEEP_ALIVE(' '),
    PROGRESS(' '),
    SUMMARY(' '),
    RECALL(' '),
    RECALLED(' '),
    RECALLED_LAST(' '),
    PAGES(' '),
    ROUND_END(' '),
    PAGE_REQUEST(' '),
    REFERENCES(' '),
    FOUND(' ');

    private final char letter;

    Event(char letter) {
      this.letter = letter;
    }
  }

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
          Event.SETTLED,
          Event.RESUMED,
          Event.STILL_MISSING,
          Event.STILL_MISSING_LAST,
          Event.TARGET_ABORT,
          Event.RECALLED,
          Event.RECALLED_LAST,
          Event.PROGRESS);

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void bothSidesJudgeEveryEventAsTheModelDoes(long seed) throws Exception {
    Set<Phase> unreached = EnumSet.allOf(Phase.class);
    Set<Event> untaken = EnumSet.allOf(Event.class);
    for (int walk = 0; walk < WALKS; walk++) {
      boolean target = walk % 2 == 1;
      // Illegal events leave the state as it is, so a walk gets far although most of it is refused.
      Random random = new Random((seed * 1000 + walk) * 0x9E3779B97F4A7C15L);
      walk(random, target, unreached, untaken);
    }
    assertThat(unreached).isEmpty();
    assertThat(untaken).isEmpty();
  }

  private static void walk(Random random, boolean target, Set<Phase> unreached, Set<Event> untaken)
      throws Exception {
    SourceConversation source = new SourceConversation();
    TargetConversation receiver = new TargetConversation();
    Conversation conversation = target ? receiver : source;
    Model model = new Model(target, random.nextInt(8) != 0, random.nextInt(8) != 0);
    if (model.knowsLayout) {
      source.layout(LAYOUT);
    }
    boolean abortAllowed = random.nextInt(4) == 0;
    for (int step = 0; step < STEPS; step++) {
      Event event = EVENTS.get(random.nextInt(EVENTS.size()));
      boolean abort = event == Event.SOURCE_ABORT || event == Event.TARGET_ABORT;
      if (abort && (!abortAllowed || random.nextInt(30) != 0)) {
        continue;
      }
      if (event == Event.REFERENCES && random.nextInt(4) != 0) {
        continue; // else there are always some that wait for their answer
      }
      int channel = random.nextInt(20) == 0 ? random.nextInt(-1, 6) : random.nextInt(CHANNELS + 1);
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
          case PAGE_REQUEST -> {
            PageRequest request = new PageRequest(0, new long[] {0, extra * PAGES_IN_ALL});
            if (target) {
              receiver.pageRequestSent(request);
            } else {
              source.pageRequestReceived(request);
            }
          }
          case REFERENCES -> {
            if (target) {
              receiver.referencesReceived(channel, round, model.referring());
            } else {
              source.referencesSent(channel, round, model.referring());
            }
          }
          case FOUND -> {
            Found found = new Found(round, model.findings(channel, (int) extra));
            if (target) {
              receiver.foundSent(channel, found);
            } else {
              source.foundReceived(channel, found);
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
        untaken.remove(event);
      } catch (ProtocolException e) {
        assertThat(legal).as("%s of %d was refused in %s", event, round, before).isFalse();
        assertThat(e.reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
        assertThat(conversation.phase()).isEqualTo(before);
      }
      unreached.remove(conversation.phase());
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
              LAYOUT,
              CHANNELS,
              false,
              0,
              List.of());
      case ACCEPTED -> {
        byte[] token = new byte[Hello.TOKEN_BYTES];
        List<byte[]> tokens = Collections.nCopies(CHANNELS + (int) extra, token);
        yield model.granted ? new Accepted(tokens, 0, token) : new Accepted(tokens, 0);
      }
      case ROUND -> new RoundBegin(round, false, 1);
      case LAST_ROUND -> new RoundBegin(round, true, 1);
      case LANDED -> new RoundLanded(round, 7L * model.channels() + extra);
      case DEVICE -> new DeviceState(model.deviceBytes + extra, false, new byte[5]);
      case DEVICE_LAST -> new DeviceState(model.deviceBytes + extra, true, new byte[5]);
      case DIGEST -> new DigestValue(1, 2, extra == 1);
      case PREPARED -> new Prepared(true, 1, 2);
      case MISMATCH -> new Prepared(false, 1, 3);
      case COMMIT -> new Commit();
      case STARTED -> new Started(0, 0, 0, 0, 0);
      case GOODBYE -> new Goodbye();
      case SOURCE_ABORT, TARGET_ABORT -> new Abort(AbortReason.CANCELLED, "enough");
      case KEEP_ALIVE -> new KeepAlive(0);
      case PROGRESS -> new Progress(1);
      case SUMMARY -> new DirtySummary(round, (int) extra, 1, List.of());
      case RECALL -> new Recall(new byte[Recall.SALT_BYTES]);
      case RECALLED ->
          new Recalled((int) extra, false, model.named, new byte[Recalled.DIGEST_BYTES]);
      case RECALLED_LAST ->
          new Recalled((int) extra, true, PAGES_IN_ALL - 1, new byte[Recalled.DIGEST_BYTES]);
      case MISSING, STILL_MISSING ->
          new Missing((int) extra, false, List.of(new PageSpan(model.missing % PAGES_IN_ALL, 1)));
      case MISSING_LAST, STILL_MISSING_LAST -> new Missing((int) extra, true, List.of());
      case SWITCH -> new Switch(round, model.missing + extra);
      case SETTLED -> new Settled(1, 2, Comparison.EQUAL, 1, 1, 1, 0, 0, 1, 2, 3, 0, 0);
      case RESUME -> new Resume(MIGRATION);
      case RESUMED -> {
        byte[] token = new byte[Hello.TOKEN_BYTES];
        yield new Resumed(
            new UUID(1, 2 + extra), RESUMED_ROUND, List.of(token, token, token), token);
      }
      case PAGES, ROUND_END, PAGE_REQUEST, REFERENCES, FOUND ->
          throw new IllegalArgumentException(event.name());
    };
  }

  /** The other way to say what is allowed. */
  private static final class Model {
    private final boolean target;

    /** Whether the target grants a fault channel. */
    private final boolean granted;

    /** Whether the source knows the layout before it offers or resumes. */
    private final boolean knowsLayout;

    private final int[] lastEnded = new int[CHANNELS + 1];
    private String history = "";
    private boolean aborted;
    private int begun;
    private int landed;
    private int deviceBytes;
    private int missing;

    /** Whether the target was asked what it has; how much it has said, and whether that is all. */
    private boolean asked;

    private int named;
    private boolean toldAll;

    /** Whether something of the coming round was taken. */
    private boolean overtaken;

    /** The sizes of the batches of references that are not answered yet. */
    private final Map<Integer, Queue<Integer>> waiting = new HashMap<>();

    private int referred;

    Model(boolean target, boolean granted, boolean knowsLayout) {
      this.target = target;
      this.granted = granted;
      this.knowsLayout = knowsLayout;
    }

    boolean legal(Event event, int channel, int round, long extra) {
      if (event == Event.KEEP_ALIVE) {
        return true;
      }
      if (event == Event.SOURCE_ABORT) {
        return aborted || (!said('C') && !said('G') && !said('U'));
      }
      if (event == Event.TARGET_ABORT) {
        return aborted || (!said('S') && !said('G') && !said('L'));
      }
      if (aborted) {
        return false;
      }
      boolean judged = said('P') || said('M');
      return switch (event) {
        case PAGES -> openFor(channel, round, channel == FAULT_CHANNEL);
        case ROUND_END -> openFor(channel, round, false) && waiting(channel).isEmpty();
        case REFERENCES ->
            openFor(channel, round, false)
                && !postcopyRound()
                && waiting(channel).size() < Conversation.MAX_UNANSWERED;
        case FOUND -> openFor(channel, round, false) && extra == 0 && !waiting(channel).isEmpty();
        case PAGE_REQUEST ->
            postcopyRound()
                && (!target || !said('T'))
                && (extra == 0 || (target && said('u')))
                && (said('X') || said('L'));
        case PROGRESS -> (said('K') && !judged) || (fetching() && !said('T'));
        case SUMMARY -> extra == 0 && round == begun && begun > 0 && !said('V') && !postcopy();
        case MISSING ->
            prefix(event)
                && granted
                && !overtaken
                && extra == 0
                && pageIsLeft()
                && (!asked || begun > 0);
        case MISSING_LAST ->
            prefix(event) && granted && !overtaken && extra == 0 && (!asked || begun > 0);
        case RECALL ->
            !asked
                && (history.endsWith("K")
                    || history.endsWith("Kr")
                    || (target && history.endsWith("Krl")));
        case RECALLED, RECALLED_LAST ->
            asked
                && !toldAll
                && extra == 0
                && named < PAGES_IN_ALL
                && landed == 0
                && begun <= 1
                && !postcopy();
        case SWITCH -> prefix(event) && round == begun + 1 && extra == 0;
        // The target says what it lacks of a layout that only the source can hold against it.
        case STILL_MISSING -> prefix(event) && (target || (extra == 0 && pageIsLeft()));
        case STILL_MISSING_LAST -> prefix(event) && (target || extra == 0);
        case RESUME -> prefix(event) && (target || knowsLayout);
        case ROUND, LAST_ROUND -> prefix(event) && round == begun + 1;
        case LANDED -> prefix(event) && round == begun && allEnded() && extra == 0;
        case DIGEST -> prefix(event) && (postcopyRound() ? extra == 0 : target || allEnded());
        case WELCOME, ANSWER, ACCEPTED, DEVICE, DEVICE_LAST, RESUMED -> prefix(event) && extra == 0;
        default -> prefix(event);
      };
    }

    void happened(Event event, int channel, int round) {
      switch (event) {
        case SOURCE_ABORT, TARGET_ABORT -> aborted = true;
        case ROUND, LAST_ROUND, SWITCH -> {
          begun++;
          overtaken = false;
        }
        case RESUMED -> {
          begun = RESUMED_ROUND;
          landed = RESUMED_ROUND - 1;
        }
        case MISSING, STILL_MISSING -> missing++;
        case PAGES -> overtaken |= round > begun;
        case REFERENCES -> {
          overtaken |= round > begun;
          waiting(channel).add(referring());
          referred++;
        }
        case FOUND -> waiting(channel).remove();
        case RECALL -> asked = true;
        case RECALLED -> named++;
        case RECALLED_LAST -> toldAll = true;
        case LANDED -> landed++;
        case DEVICE, DEVICE_LAST -> deviceBytes += 5;
        case ROUND_END -> {
          lastEnded[channel] = round;
          overtaken |= round > begun;
        }
        default -> {}
      }
      if (event.letter != ' ') {
        history += event.letter;
      }
    }

    /** How many pages the next batch of references has: each batch another number. */
    int referring() {
      return 1 + referred % 7;
    }

    /** An answer to the oldest batch of a channel, of too many pages if there is one extra. */
    byte[] findings(int channel, int extra) {
      byte[] findings =
          new byte[(waiting(channel).isEmpty() ? 1 : waiting(channel).element()) + extra];
      Arrays.fill(findings, Found.WANTED);
      return findings;
    }

    private Queue<Integer> waiting(int channel) {
      return waiting.computeIfAbsent(channel, key -> new ArrayDeque<>());
    }

    private boolean openFor(int channel, int round, boolean answer) {
      if (channel < 0 || channel > FAULT_CHANNEL || round != landed + 1) {
        return false;
      }
      if (postcopy()) {
        return (fetching() || (answer && said('X')))
            && round == begun
            && lastEnded[channel] < round;
      }
      boolean lastLanded = said('R') && begun == landed;
      return channel != FAULT_CHANNEL
          && said('K')
          && !lastLanded
          && lastEnded[channel] < round
          && (target || round == begun);
    }

    private boolean allEnded() {
      for (int channel = 0; channel < channels(); channel++) {
        if (lastEnded[channel] != begun) {
          return false;
        }
      }
      return true;
    }

    /** How many channels carry pages of the present round. */
    private int channels() {
      return postcopyRound() ? CHANNELS + 1 : CHANNELS;
    }

    private boolean pageIsLeft() {
      return missing < PAGES_IN_ALL;
    }

    /** Whether the rounds are over because post-copy begins, or goes on. */
    private boolean postcopy() {
      return said('m') || said('N') || said('U');
    }

    private boolean postcopyRound() {
      return said('X') || said('u');
    }

    private boolean fetching() {
      return (said('X') && said('S')) || said('L');
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
