package io.pageferry.guest.handover;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import io.pageferry.guest.handover.HandoverException.Problem;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class HandoverMessageTest {
  private static final String REGION =
      "{\"base_host_virt_addr\":140000000000000,\"size\":8192,\"offset\":0,\"page_size\":4096}";

  private static HandoverMessage decode(String json) throws HandoverException {
    return HandoverMessage.decode(json.getBytes(StandardCharsets.UTF_8));
  }

  private static Problem problem(String json) {
    return Objects.requireNonNull(
            catchThrowableOfType(HandoverException.class, () -> decode(json)), json)
        .problem();
  }

  @Test
  void isWrittenAsFirecrackerWritesIt() {
    HandoverMessage message =
        new HandoverMessage(List.of(new MappedRegion(140000000000000L, 8192, 0, 4096)));
    assertThat(new String(message.encode(), StandardCharsets.UTF_8)).isEqualTo("[" + REGION + "]");
  }

  @Test
  void readsWhatItWrites() throws Exception {
    HandoverMessage message =
        new HandoverMessage(
            List.of(
                new MappedRegion(0x7f0000000000L, 2 << 20, 4 << 20, 2 << 20),
                new MappedRegion(0x7e0000000000L, 4 << 20, 0, 2 << 20)));
    assertThat(HandoverMessage.decode(message.encode())).isEqualTo(message);
  }

  @Test
  void acceptsTheOldNameOfThePageSizeAndNoneAndUnknownFields() throws Exception {
    assertThat(
            decode(
                    """
                    [{"base_host_virt_addr":2097152,"size":2097152,"offset":0,
                      "page_size_kib":2097152,"unknown":{"a":[1,2,{}]},"other":null}]
                    """)
                .regions())
        .containsExactly(new MappedRegion(2097152, 2097152, 0, 2097152));
    assertThat(decode("[{\"base_host_virt_addr\":4096,\"size\":4096,\"offset\":0}]").regions())
        .containsExactly(new MappedRegion(4096, 4096, 0, 4096));
    // Firecracker 1.12 and later sends both, of which the new one counts.
    assertThat(
            decode(
                    "[{\"base_host_virt_addr\":4096,\"size\":4096,\"offset\":0,"
                        + "\"page_size\":4096,\"page_size_kib\":4096}]")
                .regions())
        .containsExactly(new MappedRegion(4096, 4096, 0, 4096));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\'',
      textBlock =
          """
          ''|EMPTY
          '   '|EMPTY
          '{}'|MALFORMED
          '[]'|MALFORMED
          '[1]'|MALFORMED
          '[[]]'|MALFORMED
          'nonsense'|MALFORMED
          '[{}]'|MALFORMED
          '[{"base_host_virt_addr":4096,"size":4096}]'|MALFORMED
          '[{"base_host_virt_addr":4096,"size":0,"offset":0}]'|MALFORMED
          '[{"base_host_virt_addr":-4096,"size":4096,"offset":0}]'|MALFORMED
          '[{"base_host_virt_addr":"4096","size":4096,"offset":0}]'|MALFORMED
          '[{"base_host_virt_addr":4096.5,"size":4096,"offset":0}]'|MALFORMED
          '[{"base_host_virt_addr":4096,"base_host_virt_addr":4096,"size":4096,"offset":0}]'|MALFORMED
          '[{"base_host_virt_addr":18446744073709547520,"size":4096,"offset":0}]'|MALFORMED
          '[{"base_host_virt_addr":9223372036854771712,"size":8192,"offset":0}]'|MALFORMED
          '[{"base_host_virt_addr":4096,"size":4096,"offset":0,"page_size":4095}]'|MALFORMED
          '[{"base_host_virt_addr":4096,"size":4096,"offset":0,"page_size":4}]'|MALFORMED
          '[{"base_host_virt_addr":4096,"size":4096,"offset":0}] []'|MALFORMED
          '[{"base_host_virt_addr":4097,"size":4096,"offset":0}]'|UNALIGNED
          '[{"base_host_virt_addr":4096,"size":4000,"offset":0}]'|UNALIGNED
          '[{"base_host_virt_addr":4096,"size":4096,"offset":1}]'|UNALIGNED
          '[{"base_host_virt_addr":4096,"size":4096,"offset":0,"page_size":2097152}]'|UNALIGNED
          '[{"base_host_virt_addr":4096,"size":8192,"offset":0},{"base_host_virt_addr":8192,"size":4096,"offset":8192}]'|OVERLAPPING
          '[{"base_host_virt_addr":4096,"size":8192,"offset":0},{"base_host_virt_addr":65536,"size":4096,"offset":4096}]'|OVERLAPPING
          """)
  void everyFaultHasItsName(String json, Problem problem) {
    assertThat(problem(json)).isEqualTo(problem);
  }

  @Test
  void everyBeginningOfAMessageBreaksOff() {
    String whole = "[" + REGION + "]";
    for (int length = 1; length < whole.length(); length++) {
      String beginning = whole.substring(0, length);
      assertThat(problem(beginning)).as(beginning).isEqualTo(Problem.TRUNCATED);
    }
  }

  @Test
  void absurdNestingLengthAndCountsAreRefused() {
    assertThat(problem("[" + "[".repeat(5000))).isEqualTo(Problem.MALFORMED);
    assertThat(problem("[{\"x\":" + "[".repeat(5000))).isEqualTo(Problem.MALFORMED);
    assertThat(problem("[{\"size\":" + "9".repeat(5000) + "}]")).isEqualTo(Problem.MALFORMED);
    assertThat(problem(" ".repeat(HandoverMessage.MAX_BYTES + 1))).isEqualTo(Problem.TOO_LARGE);
    StringBuilder many = new StringBuilder("[");
    for (int i = 0; i <= HandoverMessage.MAX_REGIONS; i++) {
      many.append(
          "{\"base_host_virt_addr\":%d,\"size\":4096,\"offset\":%d},"
              .formatted(i * 4096, i * 4096));
    }
    assertThat(problem(many + "]")).isEqualTo(Problem.TOO_LARGE);
  }

  @Test
  void randomlyDamagedMessagesAreReadOrRefusedButNothingElse() {
    SplittableRandom random = new SplittableRandom(20261120);
    byte[] whole = ("[" + REGION + "," + REGION + "]").getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < 20_000; i++) {
      byte[] damaged = Arrays.copyOf(whole, 1 + random.nextInt(whole.length));
      for (int n = random.nextInt(4); n >= 0; n--) {
        damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
      }
      decodeAnything(damaged);
    }
  }

  @FuzzTest(maxDuration = "20s")
  void anyBytesAreReadOrRefused(FuzzedDataProvider data) {
    decodeAnything(data.consumeRemainingAsBytes());
  }

  private static void decodeAnything(byte[] bytes) {
    try {
      HandoverMessage message = HandoverMessage.decode(bytes);
      assertThat(message.regions()).isNotEmpty();
      assertThat(HandoverMessage.decode(message.encode())).isEqualTo(message);
    } catch (HandoverException e) {
      assertThat(e.getMessage()).isNotBlank();
    }
  }
}
