package io.pageferry.guest.control;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** What a hostile guest may say: an object, or refused in words. */
class QmpJsonTest {
  private static final String ANSWER =
      "{\"return\":{\"status\":\"running\",\"ticks\":[1,-2.5e7,null,true]},\"id\":\"ä\"}";

  @FuzzTest(maxDuration = "20s")
  void anyLineIsAnObjectOrRefused(byte[] line) throws IOException {
    parseAnything(line);
  }

  @Test
  void damagedLinesAreObjectsOrRefused() throws IOException {
    SplittableRandom random = new SplittableRandom(20261121);
    byte[] whole = ANSWER.getBytes(StandardCharsets.UTF_8);
    int refused = 0;
    for (int i = 0; i < 20_000; i++) {
      byte[] damaged = Arrays.copyOf(whole, whole.length - random.nextInt(2));
      for (int n = random.nextInt(3); n >= 0; n--) {
        damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
      }
      refused += parseAnything(damaged) ? 0 : 1;
    }
    assertThat(refused).isBetween(1, 19_999);
  }

  /** What was understood is written and understood again, as one line. */
  private static boolean parseAnything(byte[] line) throws IOException {
    ObjectNode object;
    try {
      object = QmpJson.parse(line);
    } catch (IOException e) {
      assertThat(e.getMessage()).isNotBlank();
      return false;
    }
    byte[] written = QmpJson.line(object);
    assertThat(new String(written, StandardCharsets.UTF_8).lines()).hasSize(1);
    assertThat(QmpJson.line(QmpJson.parse(Arrays.copyOf(written, written.length - 1))))
        .isEqualTo(written);
    return true;
  }
}
