package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.report.MigrationReport;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.channel.PeerConnector;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.channel.TransportSettings;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.page.ImageDigest;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A guest has moved, and its pages follow from the image of the copy that stays paused here. */
@Timeout(180)
class ResumptionTest {
  private static final int PAGES = 3000;
  private static final Duration LIMIT = Duration.ofSeconds(60);

  /** For what is tried again and again, and in vain: enough for more than one attempt. */
  private static final Duration IN_VAIN = Duration.ofSeconds(3);

  @TempDir private Path folder;
  private GuestImage image;
  private ImageDigest digest;
  private OwnershipLedger ledger;
  private PeerConnector connector;
  private ScriptedTarget target;
  private final Cancellation cancellation = new Cancellation();
  private final MigrationProgress progress = new MigrationProgress(new UUID(1, 1), "target:1");
  private final MigrationJournal journal =
      new MigrationJournal(new UUID(1, 1), MigrationMode.POSTCOPY, "test");

  @BeforeEach
  void aGuestThatHasMoved() throws Exception {
    Path ram = folder.resolve("ram");
    Random random = new Random(5);
    try (RandomAccessFile file = new RandomAccessFile(ram.toFile(), "rw")) {
      file.setLength(PAGES * 4096L);
      // A thousand pages with content, a thousand that are a hole, a thousand of zeros and content.
      byte[] content = new byte[1000 * 4096];
      random.nextBytes(content);
      file.write(content);
      for (int page = 2000; page < PAGES; page += 2) {
        file.seek(page * 4096L);
        file.write(content, 0, 4096);
        file.write(new byte[4096]);
      }
    }
    image = OneRegionImage.open(ram);
    digest = new ImageDigest(ImageReread.layout(image.regions()));
    ledger =
        OwnershipLedger.create(
            folder, LedgerSide.SOURCE, new UUID(1, 1), LedgerFields.of("demo", "target:1"));
    ledger.record(LedgerState.PAUSED);
    ledger.record(LedgerState.HANDED_OVER);
    ledger.record(LedgerState.SERVING);
    connector = new PeerConnector(TransportSettings.plaintext());
    target = new ScriptedTarget(PAGES);
  }

  @AfterEach
  void close() {
    target.close();
    connector.close();
    ledger.close();
    digest.close();
    image.close();
  }

  private Optional<Settled> resume(PushMode push, long bandwidth, Duration limit) throws Exception {
    return resume(push, bandwidth, limit, () -> ImageReread.digest(image));
  }

  private Optional<Settled> resume(
      PushMode push, long bandwidth, Duration limit, PostCopy.WholeDigest whole) throws Exception {
    return new Resumption(
            new TargetPlace(connector, target.address(), "test-source"),
            PeerIdentity.PLAINTEXT,
            cancellation,
            progress,
            journal)
        .run(
            new Resumption.Remains(ledger, image, digest, whole),
            new PostCopy.Manner(push, new Pacer(bandwidth), Compression.AUTO),
            limit);
  }

  private void assertAllThere(Optional<Settled> settled) {
    assertThat(settled).map(Settled::comparison).contains(Comparison.EQUAL);
    assertThat(ledger.current()).isEqualTo(LedgerState.COMPLETED);
    await().atMost(LIMIT).until(() -> target.goodbye);
  }

  @ParameterizedTest
  @EnumSource(
      value = PushMode.class,
      names = {"PREPAGING", "ACTIVE"})
  void eachPageCrossesOnce(PushMode push) throws Exception {
    assertAllThere(resume(push, 0, LIMIT));
    assertThat(target.came()).containsOnly(1);
  }

  @Test
  void whatTheGuestWaitsForComesOnTheFaultChannelAndOnce() throws Exception {
    long[] wanted = {900, 901, 850, 2001, 2998, 900};
    target.requests =
        List.of(new PageRequest(0, wanted), new PageRequest(0, new long[] {901, 860}));
    assertAllThere(resume(PushMode.ACTIVE, 4_000_000, LIMIT));
    assertThat(target.came()).containsOnly(1);
    assertThat(target.answered()).containsExactly(900L, 901L, 850L, 2001L, 2998L, 860L);
    MigrationReport report = journal.report(MigrationReport.Outcome.COMPLETED, null);
    assertThat(report.pages().faulted()).isEqualTo(6);
    assertThat(report.pages().pushed()).isEqualTo(PAGES - 6);
  }

  @Test
  void withoutPushOnlyHolesAndWhatIsAskedForIsSent() throws Exception {
    long[] first = java.util.stream.LongStream.range(0, 500).toArray();
    long[] second = java.util.stream.LongStream.range(500, 1000).toArray();
    long[] third = java.util.stream.LongStream.range(2000, 2500).toArray();
    long[] fourth = java.util.stream.LongStream.range(2500, 3000).toArray();
    target.requests =
        List.of(
            new PageRequest(0, first),
            new PageRequest(0, second),
            new PageRequest(0, third),
            new PageRequest(0, fourth));
    assertAllThere(resume(PushMode.NONE, 0, LIMIT));
    assertThat(target.came()).containsOnly(1);
    assertThat(target.answered()).hasSizeBetween(2000, PAGES);
  }

  @Test
  void aLostLinkIsTakenUpWhereItBroke() throws Exception {
    target.cutAfter = 1800;
    assertAllThere(resume(PushMode.PREPAGING, 4_000_000, LIMIT));
    assertThat(target.resumes).hasValue(2);
    // What landed is not sent again; what was on its way when the link broke had not.
    assertThat(Arrays.stream(target.came()).allMatch(times -> times == 1)).isTrue();
    MigrationReport report = journal.report(MigrationReport.Outcome.COMPLETED, null);
    assertThat(report.rounds()).hasSize(2);
    assertThat(report.pages().sent()).isGreaterThanOrEqualTo(PAGES);
  }

  @Test
  void aTargetThatHasEverythingIsBelieved() throws Exception {
    target.ownership = OwnershipState.RUNNING;
    assertThat(resume(PushMode.PREPAGING, 0, LIMIT)).isEmpty();
    assertThat(ledger.current()).isEqualTo(LedgerState.COMPLETED);
  }

  @Test
  void aGuestThatEndedThereIsWaitedForByNobody() {
    target.refusal = AbortReason.GUEST_ENDED;
    assertThatThrownBy(() -> resume(PushMode.PREPAGING, 0, LIMIT))
        .isInstanceOfSatisfying(
            GuestEndedThereException.class, e -> assertThat(e.knownToHaveRun()).isTrue());
    assertThat(target.resumes).hasValue(1);
  }

  @Test
  void aTargetThatIsBusyIsAskedAgain() {
    target.refusal = AbortReason.BUSY;
    assertThatThrownBy(() -> resume(PushMode.PREPAGING, 0, IN_VAIN))
        .isInstanceOf(IOException.class);
    assertThat(target.resumes.get()).isGreaterThan(1);
    assertThat(ledger.current()).isEqualTo(LedgerState.SERVING);
  }

  @Test
  void anEndThatFailsAgainAndAgainIsNotTriedForEver() {
    assertThatThrownBy(
            () ->
                resume(
                    PushMode.ACTIVE,
                    0,
                    IN_VAIN,
                    () -> {
                      throw new IOException("the image cannot be read");
                    }))
        .hasMessage("the image cannot be read");
    assertThat(target.resumes.get()).isGreaterThan(1);
    assertThat(ledger.current()).isEqualTo(LedgerState.SERVING);
  }

  @Test
  void aGuestThatIsNotKnownToHaveRunIsAskedForAndEndedAsWell() {
    target.ownership = OwnershipState.TAKEN_OVER;
    target.refusal = AbortReason.GUEST_ENDED;
    assertThatThrownBy(() -> resume(PushMode.PREPAGING, 0, LIMIT))
        .isInstanceOfSatisfying(
            GuestEndedThereException.class, e -> assertThat(e.knownToHaveRun()).isFalse());
  }

  @Test
  void whileNothingCanBeServedTheAttemptsMayBeCalledOff() throws Exception {
    target.ownership = OwnershipState.UNKNOWN;
    Thread impatient =
        Thread.ofPlatform()
            .start(
                () -> {
                  await().atMost(LIMIT).until(() -> progress.phase().startsWith("paused"));
                  assertThat(cancellation.request("a test")).isTrue();
                });
    assertThatThrownBy(() -> resume(PushMode.PREPAGING, 0, LIMIT))
        .isInstanceOf(InterruptedException.class);
    impatient.join();
    assertThat(ledger.current()).isEqualTo(LedgerState.SERVING);
  }

  @ParameterizedTest
  @EnumSource(
      value = ChannelRole.class,
      names = {"DATA", "FAULT"})
  void anAnswerThatNeedsPagesIsNotWaitedForWithoutTheirChannels(ChannelRole lost) throws Exception {
    UnsentPages unsent = new UnsentPages(new long[] {PAGES});
    try (TargetLink link = TargetLink.connect(connector, target.address(), "test-source")) {
      int round =
          link.resume(
              ledger.migration(),
              List.of(new RegionOffer("ram", PAGES * 4096L)),
              unsent,
              "test-source");
      PostCopy.Manner manner = new PostCopy.Manner(PushMode.NONE, new Pacer(0), Compression.OFF);
      try (PostCopy postcopy =
          new PostCopy(link, round, image, digest, unsent, manner, progress, journal)) {
        postcopy.answer();
        target.drop(lost);
        assertThatThrownBy(() -> link.await(Prepared.class, LIMIT, postcopy::requireOpen))
            .isInstanceOf(IOException.class)
            .hasMessageNotContaining("did not answer");
      }
    }
  }

  @Test
  void whileTheGuestIsServedNobodyMayCancel() throws Exception {
    target.requests = List.of(new PageRequest(0, new long[] {3}));
    Thread impatient =
        Thread.ofPlatform()
            .start(
                () -> {
                  await().atMost(LIMIT).until(() -> !target.answered().isEmpty());
                  assertThat(cancellation.request("a test")).isFalse();
                  assertThat(cancellation.refusal()).contains("missing pages are only here");
                });
    assertAllThere(resume(PushMode.PREPAGING, 4_000_000, LIMIT));
    impatient.join();
  }
}
