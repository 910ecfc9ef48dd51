package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.target.content.Sharing;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is found by its digest lands; what was there once and is not any more is asked for. */
@Timeout(180)
class ContentReceptionTest {
  private static final int PAGES = 256;
  private static final long MEMORY = PAGES * 4096L;
  private static final byte HELD = Found.HELD;
  private static final byte WANTED = Found.WANTED;
  private static final byte COMING = Found.COMING;

  private TargetBench bench;

  @BeforeEach
  void setUp() throws Exception {
    bench = new TargetBench();
    for (String guest : List.of("alpha", "beta")) {
      bench.describe(guest, MEMORY);
    }
  }

  @AfterEach
  void tearDown() throws Exception {
    bench.close();
  }

  private ScriptedSource begin(String guest) throws Exception {
    ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
    source.begin(guest, 1, false);
    source.control.send(new RoundBegin(1, false, PAGES));
    return source;
  }

  private static byte[] page(int content) {
    byte[] page = new byte[4096];
    Arrays.fill(page, (byte) content);
    return page;
  }

  private static List<Byte> ask(ScriptedSource source, int round, long first, byte[]... pages)
      throws Exception {
    source.data.getFirst().sendFrame(ScriptedSource.references(round, first, pages));
    return source.found(0);
  }

  private static void send(ScriptedSource source, int round, long first, int content)
      throws Exception {
    source.data.getFirst().sendFrame(source.batch(round, first, 1, content));
  }

  private static void endRound(ScriptedSource source, int round, long pages) throws Exception {
    source.data.getFirst().send(new RoundEnd(round, pages));
    assertThat(source.expect(RoundLanded.class).pages()).isEqualTo(pages);
  }

  private byte[] landed(String guest, long page) throws IOException {
    byte[] bytes = new byte[4096];
    try (RandomAccessFile file = new RandomAccessFile(bench.image(guest).toFile(), "r")) {
      file.seek(page * 4096);
      file.readFully(bytes);
    }
    return bytes;
  }

  private void overwrite(String guest, long page, int content) throws IOException {
    try (RandomAccessFile file = new RandomAccessFile(bench.image(guest).toFile(), "rw")) {
      file.seek(page * 4096);
      file.write(page(content));
    }
  }

  private void end(ScriptedSource source) {
    source.control.send(new Abort(AbortReason.CANCELLED, "enough"));
    source.close();
  }

  @Test
  void withinAGuestTheSameContentCrossesOnce() throws Exception {
    bench.sharing = Sharing.NONE;
    bench.start();
    ScriptedSource source = begin("alpha");
    assertThat(ask(source, 1, 0, page('a'), page('a'), page('b')))
        .as("the second is the first, which has not come")
        .containsExactly(WANTED, COMING, WANTED);
    send(source, 1, 0, 'a');
    assertThat(ask(source, 1, 1, page('a'))).containsExactly(HELD);
    assertThat(ask(source, 1, 9, page('b')))
        .as("that one was asked for and not sent")
        .containsExactly(COMING);
    send(source, 1, 2, 'b');
    assertThat(ask(source, 1, 9, page('b'), page('a'))).containsExactly(HELD, HELD);
    assertThat(landed("alpha", 1)).isEqualTo(page('a'));
    assertThat(landed("alpha", 9)).isEqualTo(page('b'));
    assertThat(landed("alpha", 10)).isEqualTo(page('a'));
    endRound(source, 1, 5);

    // In a later round: what a page held before it was sent again is not there any more.
    source.control.send(new RoundBegin(2, false, 4));
    send(source, 2, 0, 'c');
    send(source, 2, 1, 'c');
    send(source, 2, 10, 'c');
    assertThat(ask(source, 2, 20, page('a'))).containsExactly(WANTED);
    assertThat(landed("alpha", 20)).isEqualTo(page(0));
    send(source, 2, 20, 'a');
    endRound(source, 2, 4);
    end(source);
    bench.assertNothingLeft();
    assertThat(bench.registry.get("pageferry.target.pages.deduplicated").counter().count())
        .isEqualTo(3);
  }

  @Test
  void whatAnotherGuestOfTheSenderHoldsIsFoundAsLongAsItHoldsIt() throws Exception {
    bench.start();
    ScriptedSource first = begin("alpha");
    assertThat(ask(first, 1, 0, page('a'), page('b'), page('c'), page('d')))
        .containsExactly(WANTED, WANTED, WANTED, WANTED);
    send(first, 1, 0, 'a');
    send(first, 1, 1, 'b');
    send(first, 1, 2, 'c');
    endRound(first, 1, 3);

    ScriptedSource second = begin("beta");
    overwrite("alpha", 1, 'x');
    assertThat(ask(second, 1, 100, page('a'), page('b'), page('d'), page('e')))
        .as("there, changed, never sent by the other, unknown")
        .containsExactly(HELD, WANTED, COMING, WANTED);
    assertThat(landed("beta", 100)).isEqualTo(page('a'));
    assertThat(landed("beta", 101)).isEqualTo(page(0));
    send(second, 1, 101, 'b');
    send(second, 1, 102, 'd');
    send(second, 1, 103, 'e');

    try (RandomAccessFile image = new RandomAccessFile(bench.image("alpha").toFile(), "rw")) {
      image.setLength(2 * 4096 + 100);
    }
    assertThat(ask(second, 1, 104, page('c'))).as("cut off").containsExactly(WANTED);
    send(second, 1, 104, 'c');
    endRound(second, 1, 5);
    end(first);
    await().atMost(TargetBench.PATIENCE).until(() -> Files.notExists(bench.image("alpha")));
    second.control.send(new RoundBegin(2, false, 2));
    assertThat(ask(second, 2, 110, page('a'), page('c')))
        .as("one guest is gone, and this one has both")
        .containsExactly(HELD, HELD);
    endRound(second, 2, 2);
    end(second);
    bench.assertNothingLeft();
  }

  @Test
  void whatAFileHoldsThatTheTargetNamesIsFoundUnlessItHasChanged() throws Exception {
    byte[] content = new byte[3 * 4096 + 100];
    new Random(1).nextBytes(content);
    Path hint = Files.write(bench.root.resolve("disk.img"), content);
    byte[] first = Arrays.copyOf(content, 4096);
    byte[] second = Arrays.copyOfRange(content, 4096, 2 * 4096);
    byte[] third = Arrays.copyOfRange(content, 2 * 4096, 3 * 4096);
    bench.sharing = Sharing.NONE;
    bench.hints = List.of(bench.root.resolve("is not there"), hint);
    bench.start();
    ScriptedSource source = begin("alpha");
    // It is read in the background.
    await()
        .atMost(TargetBench.PATIENCE)
        .until(() -> ask(source, 1, PAGES - 1, third).contains(HELD));
    assertThat(landed("alpha", PAGES - 1)).isEqualTo(third);
    assertThat(ask(source, 1, 0, first)).containsExactly(HELD);
    assertThat(landed("alpha", 0)).isEqualTo(first);
    try (RandomAccessFile file = new RandomAccessFile(hint.toFile(), "rw")) {
      file.setLength(4096 + 10);
    }
    assertThat(ask(source, 1, 1, second)).as("cut off").containsExactly(WANTED);
    Files.write(hint, content);
    assertThat(ask(source, 1, 2, second)).as("as it was").containsExactly(HELD);
    end(source);
    bench.assertNothingLeft();

    Files.move(hint, bench.root.resolve("older.img"));
    Files.write(hint, content);
    ScriptedSource next = begin("alpha");
    assertThat(ask(next, 1, 0, second)).as("another file").containsExactly(WANTED);
    end(next);
    bench.assertNothingLeft();
  }

  @Test
  void aSourceThatDoesNotSendWhatWasNotFoundIsRefused() throws Exception {
    bench.start();
    ScriptedSource source = begin("alpha");
    assertThat(ask(source, 1, 0, page('a'))).containsExactly(WANTED);
    source.data.getFirst().send(new RoundEnd(1, 1));
    assertThat(source.expectAbort().reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
    source.close();
    bench.assertNothingLeft();
  }
}
