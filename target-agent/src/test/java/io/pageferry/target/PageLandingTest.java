package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What lands where, seen in the image file itself. */
@Timeout(120)
class PageLandingTest {
  private static final int PAGES = 1024;
  private static final long MEMORY = PAGES * 4096L;

  private TargetBench bench;

  @BeforeEach
  void setUp() throws Exception {
    bench = new TargetBench();
    bench.describe("alpha", MEMORY);
    bench.start();
  }

  @AfterEach
  void tearDown() throws Exception {
    bench.close();
  }

  @Test
  void zeroPagesBecomeHolesEvenOverReservedMemoryAndOlderPages() throws Exception {
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.begin("alpha", 2, false);
      Path image = bench.image("alpha");
      assertThat(allocatedPages(image)).as("all of it is reserved").isEqualTo(PAGES);

      source.control.send(new RoundBegin(1, false, PAGES));
      source.data.get(0).sendFrame(source.zeros(1, 0, PAGES / 2));
      source.data.get(1).sendFrame(source.batch(1, PAGES / 2, 100, 'a'));
      source.data.get(1).sendFrame(source.zeros(1, PAGES / 2 + 100, PAGES / 2 - 100));
      endRound(source, 1, PAGES / 2, PAGES / 2);
      assertThat(allocatedPages(image)).as("holes stay holes").isEqualTo(100);
      assertThat(page(image, PAGES / 2)).containsOnly('a');
      assertThat(page(image, PAGES / 2 + 99)).containsOnly('a');
      assertThat(page(image, PAGES / 2 + 100)).containsOnly(0);

      // The next round, on the other channel: one page anew, one zeroed, one where a hole was.
      source.control.send(new RoundBegin(2, false, 3));
      source.data.get(0).sendFrame(source.batch(2, PAGES / 2, 1, 'b'));
      source.data.get(0).sendFrame(source.zeros(2, PAGES / 2 + 1, 1));
      source.data.get(0).sendFrame(source.batch(2, 7, 1, 'c'));
      endRound(source, 2, 3, 0);
      assertThat(page(image, PAGES / 2)).containsOnly('b');
      assertThat(page(image, PAGES / 2 + 1)).containsOnly(0);
      assertThat(page(image, PAGES / 2 + 2)).containsOnly('a');
      assertThat(page(image, 7)).containsOnly('c');
      assertThat(allocatedPages(image)).isEqualTo(100);
      source.control.send(new Abort(AbortReason.CANCELLED, "enough"));
    }
    bench.assertNothingLeft();
  }

  private static void endRound(ScriptedSource source, int round, long first, long second)
      throws Exception {
    source.data.get(0).send(new RoundEnd(round, first));
    source.data.get(1).send(new RoundEnd(round, second));
    assertThat(source.expect(RoundLanded.class).pages()).isEqualTo(first + second);
  }

  static long allocatedPages(Path image) throws Exception {
    return blocks(image) * 512 / 4096;
  }

  private static long blocks(Path image) throws Exception {
    Process stat =
        new ProcessBuilder("stat", "-c", "%b", image.toString()).redirectErrorStream(true).start();
    String blocks = new String(stat.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(stat.waitFor()).isZero();
    return Long.parseLong(blocks.strip());
  }

  private static byte[] page(Path image, long page) throws Exception {
    assertThat(Files.size(image)).isEqualTo(MEMORY);
    byte[] bytes = new byte[4096];
    try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "r")) {
      file.seek(page * 4096);
      file.readFully(bytes);
    }
    return bytes;
  }
}
