package io.pageferry.agent.ledger;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The writer is killed at a random point; what was acknowledged must be there. */
@Timeout(180)
class LedgerKilledTest {
  @TempDir Path state;

  private record Acknowledged(LedgerSide side, long sequence, LedgerState state) {}

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void whatIsReadBackIsTheLastAcknowledgedStateOrALaterOne(long seed) throws Exception {
    Map<UUID, Acknowledged> acknowledged = runAndKill(30 + new Random(seed).nextInt(400), seed);

    assertThat(acknowledged).isNotEmpty();
    for (Map.Entry<UUID, Acknowledged> each : acknowledged.entrySet()) {
      Acknowledged last = each.getValue();
      LedgerEntry entry = OwnershipLedger.read(state, last.side(), each.getKey());
      LedgerContent content =
          LedgerContent.parse(entry.file(), last.side(), Files.readAllBytes(entry.file()));
      assertThat(content.sequence()).isGreaterThanOrEqualTo(last.sequence());
      if (content.sequence() == last.sequence()) {
        assertThat(entry.state()).isEqualTo(last.state());
      }
      assertThat(entry.held()).isFalse();
    }
    // Not one that is unreadable, and not one that was seen before its first record.
    for (LedgerSide side : LedgerSide.values()) {
      assertThat(OwnershipLedger.list(state, side).unreadable()).isEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {11, 12})
  void afterTheKillTheLedgerCanBeTakenAndGoesOn(long seed) throws Exception {
    runAndKill(50 + new Random(seed).nextInt(100), seed);

    for (LedgerSide side : LedgerSide.values()) {
      for (LedgerEntry entry : OwnershipLedger.list(state, side).entries()) {
        try (OwnershipLedger ledger = OwnershipLedger.open(state, side, entry.migration())) {
          assertThat(ledger.current()).isEqualTo(entry.state());
          ledger.update(LedgerFields.of("recovered", "peer"));
        }
        LedgerEntry again = OwnershipLedger.read(state, side, entry.migration());
        assertThat(again.state()).isEqualTo(entry.state());
        assertThat(again.fields().guest()).isEqualTo("recovered");
      }
    }
  }

  /** Kills the writer after so many acknowledgements and some microseconds. */
  private Map<UUID, Acknowledged> runAndKill(int lines, long seed)
      throws IOException, InterruptedException {
    Process writer = WriterProcess.start(state);
    Map<UUID, Acknowledged> acknowledged = new HashMap<>();
    try (BufferedReader out =
        new BufferedReader(
            new InputStreamReader(writer.getInputStream(), StandardCharsets.UTF_8))) {
      String line;
      for (int i = 0; (line = out.readLine()) != null; i++) {
        String[] words = line.split(" ", -1);
        if (words.length < 4) {
          break; // cut by the kill: it was not acknowledged in full
        }
        acknowledged.put(
            UUID.fromString(words[1]),
            new Acknowledged(
                LedgerSide.valueOf(words[0]),
                Long.parseLong(words[2]),
                LedgerState.valueOf(words[3])));
        if (i == lines) {
          long until = System.nanoTime() + new Random(seed).nextInt(2_000_000);
          while (System.nanoTime() < until) {
            Thread.onSpinWait();
          }
          // By its handle: Process.destroyForcibly would close the pipe on what is still in it.
          writer.toHandle().destroyForcibly();
        }
      }
    } finally {
      writer.destroyForcibly().waitFor();
    }
    return acknowledged;
  }
}
