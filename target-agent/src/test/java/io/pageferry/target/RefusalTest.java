package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.PostcopyWish;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.target.admission.AllowList;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Each reason for which a guest cannot come is told by its name and a sentence, and leaves nothing.
 */
@Timeout(120)
class RefusalTest {
  private static final String WITHOUT_FAULTS = "-Dpageferry.kernel.without=missing-faults";
  private static final long MEMORY = 1 << 20;

  private TargetBench bench;

  @BeforeEach
  void setUp() throws Exception {
    bench = new TargetBench();
  }

  @AfterEach
  void tearDown() throws Exception {
    bench.close();
  }

  private Abort offer(String guest, long bytes) throws Exception {
    bench.start();
    try (ScriptedSource source = new ScriptedSource(bench.address(), bytes)) {
      source.control.send(source.offer(guest, 1, false));
      Abort abort = source.expectAbort();
      bench.assertNothingLeft();
      return abort;
    }
  }

  private static void assertRefused(Abort abort, AbortReason reason, String... words) {
    assertThat(abort.reason()).as(abort.text()).isEqualTo(reason);
    for (String word : words) {
      assertThat(abort.text()).contains(word);
    }
  }

  @Test
  void aGuestThatIsNotDescribed() throws Exception {
    assertRefused(offer("nobody", MEMORY), AbortReason.GUEST_UNKNOWN, "nobody.yaml");
  }

  @Test
  void aDescriptionThatCannotBeUnderstood() throws Exception {
    Files.writeString(bench.guests.resolve("alpha.yaml"), "name: alpha\nmemroy: []\n");
    assertRefused(offer("alpha", MEMORY), AbortReason.GUEST_UNKNOWN, "alpha.yaml", "memroy");
  }

  @Test
  void aDescriptionOfAnotherGuest() throws Exception {
    bench.describe("beta", MEMORY);
    Files.move(bench.guests.resolve("beta.yaml"), bench.guests.resolve("alpha.yaml"));
    assertRefused(offer("alpha", MEMORY), AbortReason.GUEST_UNKNOWN, "beta");
  }

  @Test
  void aPeerThatMayNotSendThisGuest() throws Exception {
    bench.allowed = AllowList.of(List.of("plaintext=beta", "somebody=alpha"));
    bench.describe("alpha", MEMORY);
    assertRefused(offer("alpha", MEMORY), AbortReason.NOT_AUTHORISED, "plaintext", "alpha");
  }

  @Test
  void anotherSize() throws Exception {
    bench.describe("alpha", 2 * MEMORY);
    assertRefused(offer("alpha", MEMORY), AbortReason.LAYOUT_MISMATCH, "1048576", "2097152");
  }

  @Test
  void anotherNumberOfRegionsAndAnotherName() throws Exception {
    bench.describe("alpha", MEMORY);
    bench.start();
    RegionOffer ram = new RegionOffer("ram", MEMORY);
    for (List<RegionOffer> regions :
        List.of(
            List.of(ram, new RegionOffer("more", MEMORY)),
            List.of(new RegionOffer("rom", MEMORY)))) {
      try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
        source.control.send(
            new Offer(
                source.migration,
                "alpha",
                MigrationMode.PRECOPY,
                PostcopyWish.NO,
                regions,
                1,
                false,
                0,
                List.of()));
        assertRefused(source.expectAbort(), AbortReason.LAYOUT_MISMATCH, "region");
      }
    }
    bench.assertNothingLeft();
  }

  @Test
  void withoutPageFaultsPostCopyIsRefusedAndPreCopyIsNot() throws Exception {
    bench.describe("alpha", MEMORY);
    try (TargetProcess target =
        new TargetProcess(bench, Map.of("JAVA_TOOL_OPTIONS", WITHOUT_FAULTS))) {
      try (ScriptedSource source = new ScriptedSource(target.address(), MEMORY)) {
        source.control.send(source.offerPostCopy("alpha", 1, MigrationMode.POSTCOPY));
        Abort abort = source.expectAbort();
        assertRefused(abort, AbortReason.NO_PERMISSION, "missing-faults");
        assertThat(abort.text()).contains("--mode precopy");
      }
      try (ScriptedSource source = new ScriptedSource(target.address(), MEMORY)) {
        source.control.send(source.offerPostCopy("alpha", 1, MigrationMode.PRECOPY));
        assertThat(source.expect(Accepted.class).faultToken()).isNull();
        source.control.send(new Abort(AbortReason.CANCELLED, "enough"));
        await().atMost(TargetBench.PATIENCE).until(() -> isAbandoned(source.migration));
      }
    }
    bench.assertNothingLeft();
  }

  @Test
  void memoryInNoFileComesByPostCopyOnly() throws Exception {
    describeAnonymous(MEMORY);
    bench.start();
    for (MigrationMode mode :
        List.of(MigrationMode.PRECOPY, MigrationMode.HYBRID, MigrationMode.STOP_AND_COPY)) {
      try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
        source.control.send(source.offerPostCopy("alpha", 1, mode));
        assertRefused(
            source.expectAbort(), AbortReason.NOT_AN_IMAGE, "in no file", "--mode postcopy");
      }
    }
    bench.assertNothingLeft();
  }

  @Test
  void moreMemoryInNoFileThanThereIs() throws Exception {
    long bytes = 1L << 44;
    describeAnonymous(bytes);
    bench.start();
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.control.send(
          new Offer(
              source.migration,
              "alpha",
              MigrationMode.POSTCOPY,
              PostcopyWish.REQUIRED,
              List.of(new RegionOffer("ram", bytes)),
              1,
              false,
              0,
              List.of()));
      assertRefused(source.expectAbort(), AbortReason.NO_MEMORY, "MiB");
    }
    bench.assertNothingLeft();
  }

  /** The program is none that could be run: nothing gets that far. */
  private void describeAnonymous(long bytes) throws Exception {
    Files.writeString(
        bench.guests.resolve("alpha.yaml"),
        """
        name: alpha
        memory: [{ name: ram, size: %d }]
        control: { qmp: "%s" }
        handover: "%s"
        launch: [ /no/such/program ]
        """
            .formatted(bytes, bench.qmp("alpha"), bench.root.resolve("alpha.uffd")));
  }

  private boolean isAbandoned(UUID migration) throws Exception {
    LedgerEntry entry = bench.ledger(migration);
    return entry.state() == LedgerState.ABANDONED && entry.settled();
  }

  @Test
  void anImageThatIsThereAlreadyStays() throws Exception {
    bench.describe("alpha", MEMORY);
    Files.writeString(bench.image("alpha"), "somebody's");
    bench.start();
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.control.send(source.offer("alpha", 1, false));
      assertRefused(source.expectAbort(), AbortReason.IMAGE_EXISTS, "alpha.ram");
    }
    bench.awaitIdle();
    assertThat(bench.image("alpha")).hasContent("somebody's");
  }

  @Test
  void moreMemoryThanThereIs() throws Exception {
    long bytes = 1L << 44;
    bench.describe("alpha", bytes);
    bench.start();
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.control.send(
          new Offer(
              source.migration,
              "alpha",
              MigrationMode.PRECOPY,
              PostcopyWish.NO,
              List.of(new RegionOffer("ram", bytes)),
              1,
              false,
              0,
              List.of()));
      assertRefused(source.expectAbort(), AbortReason.NO_MEMORY, "MiB");
    }
    bench.assertNothingLeft();
  }

  @Test
  void aFolderThatHoldsNoFiles() throws Exception {
    // A folder of procfs holds no file of ours, whatever its size: neither root nor space helps.
    bench.describe("alpha", null, "/proc/self/alpha.ram", bench.demoGuest("alpha"));
    Abort abort = offer("alpha", MEMORY);
    assertThat(abort.reason().refusal()).as(abort.toString()).isTrue();
    assertThat(abort.text()).contains("/proc/self/alpha.ram");
  }

  @Test
  void aFolderThatIsNotThere() throws Exception {
    bench.describe(
        "alpha",
        null,
        bench.images.resolve("no/such/alpha.ram").toString(),
        bench.demoGuest("alpha"));
    assertRefused(offer("alpha", MEMORY), AbortReason.NO_SUCH_DEVICE, "no/such");
  }

  @Test
  void aProgramThatIsNotThere() throws Exception {
    bench.describe(
        "alpha", null, bench.image("alpha").toString(), List.of("/no/such/program", "--incoming"));
    Abort abort = offer("alpha", MEMORY);
    assertThat(abort.reason()).isIn(AbortReason.GUEST_CONTROL_FAILED, AbortReason.GUEST_ENDED);
    assertThat(abort.text()).contains("/no/such/program");
  }

  @Test
  void aProgramThatEndsAtOnceIsQuoted() throws Exception {
    bench.describe(
        "alpha",
        null,
        bench.image("alpha").toString(),
        List.of("/bin/sh", "-c", "echo no such machine type; exit 7"));
    assertRefused(
        offer("alpha", MEMORY), AbortReason.GUEST_ENDED, "exit code 7", "no such machine type");
  }

  @Test
  void aProgramThatNeverAnswers() throws Exception {
    bench.launchLimit = Duration.ofSeconds(1);
    bench.describe(
        "alpha",
        null,
        bench.image("alpha").toString(),
        List.of("/bin/sh", "-c", "sleep 600 & sleep 600; : " + bench.root));
    assertRefused(offer("alpha", MEMORY), AbortReason.GUEST_CONTROL_FAILED, "alpha.qmp");
  }

  @Test
  void aGuestThatDoesNotWaitForItsState() throws Exception {
    List<String> running =
        DemoGuestProcess.command(
            "--paused",
            "--image",
            bench.images.resolve("other.ram").toString(),
            "--memory",
            "1M",
            "--qmp",
            bench.qmp("alpha").toString());
    bench.describe("alpha", null, bench.image("alpha").toString(), running);
    Abort abort = offer("alpha", MEMORY);
    assertRefused(abort, AbortReason.GUEST_CONTROL_FAILED, "does not wait");
  }

  @Test
  void aGuestThatIsOnItsWayAlreadyAndOneTooMany() throws Exception {
    bench.maxMigrations = 1;
    bench.describe("alpha", MEMORY);
    bench.describe("beta", MEMORY);
    bench.start();
    try (ScriptedSource first = new ScriptedSource(bench.address(), MEMORY)) {
      first.begin("alpha", 1, false);
      try (ScriptedSource same = new ScriptedSource(bench.address(), MEMORY)) {
        same.control.send(same.offer("alpha", 1, false));
        assertRefused(same.expectAbort(), AbortReason.BUSY, "alpha");
      }
      try (ScriptedSource other = new ScriptedSource(bench.address(), MEMORY)) {
        other.control.send(other.offer("beta", 1, false));
        assertRefused(other.expectAbort(), AbortReason.BUSY, "no more");
      }
      first.control.send(new Abort(AbortReason.CANCELLED, "enough"));
    }
    bench.assertNothingLeft();
  }

  @Test
  void aMigrationThatWasHereBefore() throws Exception {
    bench.describe("alpha", MEMORY);
    bench.start();
    UUID migration = UUID.randomUUID();
    try (ScriptedSource source = new ScriptedSource(bench.address(), migration, MEMORY)) {
      source.control.send(source.offer("alpha", 1, false));
      source.expect(Accepted.class);
      source.control.send(new Abort(AbortReason.CANCELLED, "enough"));
    }
    bench.assertNothingLeft();
    try (ScriptedSource source = new ScriptedSource(bench.address(), migration, MEMORY)) {
      source.control.send(source.offer("alpha", 1, false));
      assertRefused(source.expectAbort(), AbortReason.PROTOCOL_VIOLATION, "good once");
    }
    bench.assertNothingLeft();
  }

  @Test
  void aGuestThatRunsHereAlready() throws Exception {
    bench.describe("alpha", MEMORY);
    try (DemoGuestProcess running = new DemoGuestProcess(bench, "other", MEMORY)) {
      Files.createSymbolicLink(bench.qmp("alpha"), Path.of(bench.root + "/source-other.sock"));
      bench.start();
      try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
        source.control.send(source.offer("alpha", 1, false));
        assertRefused(source.expectAbort(), AbortReason.BUSY, "runs on the target already");
      }
      assertThat(running.control.status().running()).isFalse();
    }
  }
}
