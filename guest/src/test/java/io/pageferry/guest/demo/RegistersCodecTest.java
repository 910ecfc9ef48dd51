package io.pageferry.guest.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;

final class RegistersCodecTest {
  private final GuestMemory memory = GuestMemory.scratch(64);

  private Registers registers() {
    Registers registers =
        new Registers(11, PagePattern.HOT_SPOT, 20_000_000, new WorkingSet(memory, 20), 256);
    registers.ticks = 1;
    registers.writes = 2;
    registers.pagesChecked = 3;
    registers.faults = 4;
    registers.firstFault = "page 7 — torn";
    registers.longestGapMicros = 5;
    registers.random = -6;
    registers.strideNext = 63;
    registers.lastTick = new GuestClock(new UUID(1, 2), -3, 1_700_000_000_000_000L);
    for (int i = 0; i < 20; i++) {
      registers.workingSet.setGeneration(i, 1 << i);
    }
    registers.workingSet.setGeneration(19, Integer.MAX_VALUE);
    return registers;
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    return bytes;
  }

  @Test
  void everythingComesBack() throws IOException {
    Registers was = registers();
    Registers is = RegistersCodec.decode(bytes(RegistersCodec.encode(was, memory)), memory);
    assertThat(is).usingRecursiveComparison().ignoringFields("workingSet").isEqualTo(was);
    assertThat(is.workingSet.pages()).isEqualTo(20);
    for (int i = 0; i < 20; i++) {
      assertThat(is.workingSet.generation(i)).isEqualTo(was.workingSet.generation(i));
    }
  }

  @Test
  void theFirstBytesAreWhatTheyAlwaysWere() {
    byte[] state = bytes(RegistersCodec.encode(registers(), memory));
    assertThat(HexFormat.of().formatHex(state, 0, 60))
        .isEqualTo(
            "50474659"
                + "44454d4f" // PGFYDEMO
                + "03000000" // version
                + "4000000000000000" // pages
                + "01000000" // regions
                + "1400000000000000" // working set
                + "0b00000000000000" // seed
                + "02000000" // hot-spot
                + "002d310100000000" // rate
                + "0100000000000000"); // ticks
  }

  @Test
  void aStateBeforeTheFirstTickComesBack() throws IOException {
    Registers was = new Registers(1, PagePattern.TEXT, 1, new WorkingSet(memory, 1));
    Registers is = RegistersCodec.decode(bytes(RegistersCodec.encode(was, memory)), memory);
    assertThat(is.lastTick).isNull();
    assertThat(is.firstFault).isNull();
  }

  @Test
  void aByteAPageDoesUntilOneWasWrittenMoreOften() throws IOException {
    WorkingSet set = new WorkingSet(memory, 64);
    Registers was = new Registers(1, PagePattern.TEXT, 1, set);
    int small = RegistersCodec.encode(was, memory).remaining();
    set.setGeneration(63, 256);
    assertThat(RegistersCodec.encode(was, memory).remaining()).isEqualTo(small);
    set.setGeneration(63, 257);
    byte[] state = bytes(RegistersCodec.encode(was, memory));
    assertThat(state).hasSize(small + 64);
    WorkingSet is = RegistersCodec.decode(state, memory).workingSet;
    assertThat(is.generation(62)).isEqualTo(1);
    assertThat(is.generation(63)).isEqualTo(257);
  }

  @Test
  void eachChangedByteIsNoticed() {
    byte[] state = bytes(RegistersCodec.encode(registers(), memory));
    for (int i = 0; i < state.length; i++) {
      byte[] bad = state.clone();
      bad[i] ^= 0x10;
      assertThatThrownBy(() -> RegistersCodec.decode(bad, memory))
          .as("byte %d", i)
          .isInstanceOf(IOException.class);
    }
  }

  @Test
  void eachCutIsNoticed() {
    byte[] state = bytes(RegistersCodec.encode(registers(), memory));
    for (int length = 0; length < state.length; length++) {
      byte[] cut = Arrays.copyOf(state, length);
      assertThatThrownBy(() -> RegistersCodec.decode(cut, memory)).isInstanceOf(IOException.class);
    }
  }

  @Test
  void nonsenseWithARightChecksumEndsInASentence() {
    byte[] good = bytes(RegistersCodec.encode(registers(), memory));
    Random random = new Random(1);
    for (int i = 0; i < 5000; i++) {
      byte[] bad = Arrays.copyOf(good, 16 + random.nextInt(good.length - 16));
      for (int j = random.nextInt(6); j >= 0; j--) {
        bad[12 + random.nextInt(bad.length - 12)] = (byte) random.nextInt(256);
      }
      CRC32C crc = new CRC32C();
      crc.update(bad, 0, bad.length - 4);
      for (int j = 0; j < 4; j++) {
        bad[bad.length - 4 + j] = (byte) (crc.getValue() >>> (8 * j));
      }
      try {
        assertThat(RegistersCodec.decode(bad, memory).workingSet.pages()).isLessThanOrEqualTo(64);
      } catch (IOException e) {
        assertThat(e.getMessage()).isNotBlank();
      }
    }
  }

  @Test
  void theStateOfAnotherGuestIsRefused() {
    byte[] state = bytes(RegistersCodec.encode(registers(), memory));
    assertThatThrownBy(() -> RegistersCodec.decode(state, GuestMemory.scratch(65)))
        .hasMessage(
            "the device state is of a guest with 64 pages in 1 regions; this one has 65 in 1");
  }

  @FuzzTest(maxDuration = "20s")
  void anyBytesAreReadOrRefused(byte[] state) {
    decodeAnything(state);
  }

  @Test
  void damagedStatesAreReadOrRefused() {
    SplittableRandom random = new SplittableRandom(20261121);
    byte[] whole = bytes(RegistersCodec.encode(registers(), memory));
    for (int i = 0; i < 20_000; i++) {
      byte[] damaged = Arrays.copyOf(whole, whole.length - random.nextInt(3));
      for (int n = random.nextInt(4); n >= 0; n--) {
        damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
      }
      decodeAnything(damaged);
    }
  }

  /** It came over the wire from another guest. */
  private void decodeAnything(byte[] damaged) {
    byte[] state = damaged.clone();
    if (state.length > Integer.BYTES) {
      // The checksum shall not be all that finds it.
      CRC32C crc = new CRC32C();
      crc.update(state, 0, state.length - Integer.BYTES);
      ByteBuffer.wrap(state)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putInt(state.length - Integer.BYTES, (int) crc.getValue());
    }
    try {
      Registers registers = RegistersCodec.decode(state, memory);
      assertThat(registers.workingSet.pages()).isBetween(1L, memory.pages());
      assertThat(registers.strideNext).isBetween(0L, memory.pages() - 1);
    } catch (IOException e) {
      assertThat(e.getMessage()).isNotBlank();
    }
  }
}
