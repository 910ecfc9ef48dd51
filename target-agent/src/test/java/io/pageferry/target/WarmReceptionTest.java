package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.copies.GuestCopy;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Recall;
import io.pageferry.protocol.message.Recalled;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.page.PartDigests;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What came of a guest is kept, named to its source, and never taken for anything else. */
@Timeout(180)
class WarmReceptionTest {
  private static final int PAGES = 1024;
  private static final long MEMORY = PAGES * 4096L;

  /** Pages of 'a' that have come when the first attempt ends, from here on. */
  private static final int FIRST = 500;

  private static final int COUNT = 100;
  private static final int DIGEST = Recalled.DIGEST_BYTES;
  private static final byte[] SALT = salt();

  private TargetBench bench;

  private static byte[] salt() {
    byte[] salt = new byte[Recall.SALT_BYTES];
    Arrays.fill(salt, (byte) 7);
    return salt;
  }

  @BeforeEach
  void setUp() throws Exception {
    bench = new TargetBench();
    bench.copies = new CopyLimits(Duration.ofMinutes(10), 64L << 20);
    bench.describe("alpha", MEMORY);
    bench.start();
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, false, PAGES));
      source.data.getFirst().sendFrame(source.zeros(1, 0, FIRST));
      source.data.getFirst().sendFrame(source.batch(1, FIRST, COUNT, 'a'));
      source.data.getFirst().sendFrame(source.zeros(1, FIRST + COUNT, 10));
      endRound(source, 1, FIRST + COUNT + 10);
      source.control.send(new Abort(AbortReason.CANCELLED, "the link is cut"));
      bench.awaitIdle();
    }
  }

  @AfterEach
  void tearDown() throws Exception {
    bench.close();
  }

  private List<GuestCopy> copies() throws Exception {
    return new GuestCopies(bench.state, CopyLimits.NONE).list();
  }

  private static void endRound(ScriptedSource source, int round, long pages) throws Exception {
    source.data.getFirst().send(new RoundEnd(round, pages));
    assertThat(source.expect(RoundLanded.class).pages()).isEqualTo(pages);
  }

  /** Page by page what the target says that it has. */
  private static NavigableMap<Long, byte[]> recall(ScriptedSource source) throws Exception {
    source.control.send(new Recall(SALT));
    NavigableMap<Long, byte[]> digests = new TreeMap<>();
    Recalled some;
    do {
      some = source.expect(Recalled.class);
      for (int i = 0; i < some.pages(); i++) {
        byte[] digest = Arrays.copyOfRange(some.digests(), i * DIGEST, (i + 1) * DIGEST);
        if (!Arrays.equals(digest, new byte[DIGEST])) {
          digests.put(some.firstPage() + i, digest);
        }
      }
    } while (!some.last());
    return digests;
  }

  private static byte[] digestOf(int content) {
    ByteBuffer page = ByteBuffer.allocateDirect(4096);
    while (page.hasRemaining()) {
      page.put((byte) content);
    }
    return Arrays.copyOf(new PartDigests(SALT).of(page, 0), DIGEST);
  }

  private static byte[] page(Path image, long page) throws Exception {
    byte[] bytes = new byte[4096];
    try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "r")) {
      file.seek(page * 4096);
      file.readFully(bytes);
    }
    return bytes;
  }

  @Test
  void whatHadComeNeedNotComeAgain() throws Exception {
    assertThat(bench.image("alpha")).doesNotExist();
    assertThat(copies()).hasSize(1);
    assertThat(copies().getFirst().allocatedBytes()).as("holes are holes").isEqualTo(COUNT * 4096L);

    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.begin("alpha", 1, false);
      assertThat(copies()).as("it is the guest's image again").isEmpty();
      NavigableMap<Long, byte[]> digests = recall(source);
      assertThat(digests.firstKey()).isEqualTo(FIRST);
      assertThat(digests).hasSize(COUNT);
      assertThat(digests.get((long) FIRST)).isEqualTo(digestOf('a'));
      assertThat(digests.lastEntry().getValue()).isEqualTo(digestOf('a'));

      source.control.send(new RoundBegin(1, false, PAGES));
      source.data.getFirst().sendFrame(source.zeros(1, 0, FIRST + 2));
      source.data.getFirst().sendFrame(source.batch(1, FIRST + 2, 1, 'b'));
      source.data.getFirst().sendFrame(ScriptedSource.knownBatch(1, FIRST + 3, 50));
      source.data.getFirst().sendFrame(ScriptedSource.part(1, FIRST + 60, 1, 'c'));
      endRound(source, 1, FIRST + 54);
      Path image = bench.image("alpha");
      assertThat(page(image, FIRST + 1)).as("zero now").containsOnly(0);
      assertThat(page(image, FIRST + 2)).as("another now").containsOnly('b');
      assertThat(page(image, FIRST + 3)).containsOnly('a');
      byte[] inPart = new byte[4096];
      Arrays.fill(inPart, (byte) 'a');
      Arrays.fill(inPart, 512, 1024, (byte) 'c');
      assertThat(page(image, FIRST + 60)).as("in part another now").isEqualTo(inPart);
      source.control.send(new Abort(AbortReason.CANCELLED, "cut again"));
      bench.awaitIdle();
    }
    // What had come the first time and was not spoken of the second is still worth keeping.
    assertThat(copies().getFirst().allocatedBytes()).isEqualTo((COUNT - 2) * 4096L);

    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.begin("alpha", 1, false);
      assertThat(recall(source)).hasSize(COUNT - 2);
      source.control.send(new RoundBegin(1, false, 0));
      endRound(source, 1, 0);
      source.control.send(new RoundBegin(2, false, PAGES));
      source.data.getFirst().sendFrame(ScriptedSource.knownBatch(2, FIRST + 3, 1));
      assertThat(source.expectAbort().reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
      bench.awaitIdle();
    }
    // That was a breach of the protocol: what it left is not kept.
    assertThat(copies()).isEmpty();
    assertThat(TargetBench.files(bench.images)).isEmpty();
  }

  @Test
  void whatHasLandedIsNoLongerWhatWasNamed() throws Exception {
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.begin("alpha", 1, false);
      assertThat(recall(source)).hasSize(COUNT);
      source.control.send(new RoundBegin(1, false, PAGES));
      source.data.getFirst().sendFrame(source.batch(1, FIRST + 2, 1, 'b'));
      source.data.getFirst().sendFrame(ScriptedSource.part(1, FIRST + 2, 0, 'c'));
      assertThat(source.expectAbort().reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
      bench.awaitIdle();
    }
  }

  @Test
  void partsComeInTheFirstRoundOnly() throws Exception {
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.begin("alpha", 1, false);
      assertThat(recall(source)).hasSize(COUNT);
      source.control.send(new RoundBegin(1, false, 0));
      endRound(source, 1, 0);
      source.control.send(new RoundBegin(2, false, PAGES));
      source.data.getFirst().sendFrame(ScriptedSource.part(2, FIRST + 2, 0, 'c'));
      assertThat(source.expectAbort().reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
      bench.awaitIdle();
    }
  }

  @Test
  void aGuestOfAnotherSizeStartsFromNothing() throws Exception {
    bench.describe("alpha", 2 * MEMORY);
    try (ScriptedSource source = new ScriptedSource(bench.address(), 2 * MEMORY)) {
      source.begin("alpha", 1, false);
      assertThat(recall(source)).isEmpty();
      source.data.getFirst().sendFrame(ScriptedSource.knownBatch(1, FIRST, 1));
      assertThat(source.expectAbort().reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
      bench.awaitIdle();
    }
    assertThat(copies()).as("nobody has asked for it").hasSize(1);
  }
}
