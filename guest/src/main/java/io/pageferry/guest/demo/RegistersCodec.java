package io.pageferry.guest.demo;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import java.util.zip.CRC32C;

/**
 * Registers as device state. Little-endian: magic, version, the fixed fields in the order of {@link
 * #encode}, the first fault as text, the generations of the working set ({@link WorkingSet#save}),
 * and the CRC32C of all that.
 */
final class RegistersCodec {
  private static final long MAGIC = 0x4F4D4544_59464750L; // "PGFYDEMO"
  private static final int VERSION = 3;
  private static final int FIXED_BYTES = 200;
  private static final int COUNTERS_BYTES = 7 * Long.BYTES;
  private static final int MAX_FAULT_BYTES = 1024;
  private static final int CRC_BYTES = 4;

  private RegistersCodec() {}

  static ByteBuffer encode(Registers registers, GuestMemory memory) {
    WorkingSet set = registers.workingSet;
    byte[] fault =
        registers.firstFault == null
            ? new byte[0]
            : registers.firstFault.getBytes(StandardCharsets.UTF_8);
    int faultLength = Math.min(fault.length, MAX_FAULT_BYTES);
    GuestClock last = registers.lastTick;
    ByteBuffer out =
        ByteBuffer.allocate(FIXED_BYTES + faultLength + set.savedBytes() + CRC_BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    out.putLong(MAGIC).putInt(VERSION);
    out.putLong(memory.pages()).putInt(memory.regionCount()).putLong(set.pages());
    out.putLong(registers.seed).putInt(registers.pattern.code()).putLong(registers.dirtyRate);
    out.putLong(registers.ticks).putLong(registers.writes).putLong(registers.pagesChecked);
    out.putLong(registers.faults).putLong(registers.longestGapMicros);
    out.putLong(registers.random).putLong(registers.strideNext);
    out.putInt(registers.writeBytes);
    out.put((byte) (last == null ? 0 : 1));
    if (last != null) {
      out.putLong(last.boot().getMostSignificantBits());
      out.putLong(last.boot().getLeastSignificantBits());
      out.putLong(last.monotonicNanos()).putLong(last.wallMicros());
    }
    out.put((byte) (registers.firstFault == null ? 0 : 1));
    out.putShort((short) faultLength).put(fault, 0, faultLength);
    set.save(out);
    CRC32C crc = new CRC32C();
    crc.update(out.array(), 0, out.position());
    out.putInt((int) crc.getValue());
    return out.flip();
  }

  /**
   * Reads what {@link #encode} wrote.
   *
   * @throws IOException when it is damaged, of another kind, or of a guest with other memory
   */
  static Registers decode(byte[] state, GuestMemory memory) throws IOException {
    if (state.length < Long.BYTES + Integer.BYTES + CRC_BYTES) {
      throw new IOException("the device state is cut off after " + state.length + " bytes");
    }
    ByteBuffer in = ByteBuffer.wrap(state).order(ByteOrder.LITTLE_ENDIAN);
    if (in.getLong() != MAGIC) {
      throw new IOException("this is not the device state of a demo guest");
    }
    int version = in.getInt();
    if (version != VERSION) {
      throw new IOException("device state of version " + version + ", known is " + VERSION);
    }
    int end = state.length - CRC_BYTES;
    CRC32C crc = new CRC32C();
    crc.update(state, 0, end);
    if ((int) crc.getValue() != in.getInt(end)) {
      throw new IOException("the device state is damaged: its checksum does not match");
    }
    in.limit(end);
    try {
      return fields(in, memory);
    } catch (BufferUnderflowException | IndexOutOfBoundsException | IllegalArgumentException e) {
      // Only a sender that computes checksums over nonsense gets here.
      throw new IOException("the device state is malformed", e);
    }
  }

  private static Registers fields(ByteBuffer in, GuestMemory memory) throws IOException {
    long pages = in.getLong();
    int regions = in.getInt();
    if (pages != memory.pages() || regions != memory.regionCount()) {
      throw new IOException(
          "the device state is of a guest with "
              + pages
              + " pages in "
              + regions
              + " regions; this one has "
              + memory.pages()
              + " in "
              + memory.regionCount());
    }
    long setPages = in.getLong();
    if (setPages < 1 || setPages > Math.min(pages, WorkingSet.MAX_PAGES)) {
      throw new IOException("a working set of " + setPages + " pages");
    }
    WorkingSet set = new WorkingSet(memory, setPages);
    if (set.pages() != setPages) {
      throw new IOException("a working set of " + setPages + " pages in " + regions + " regions");
    }
    long seed = in.getLong();
    PagePattern pattern = PagePattern.of(in.getInt());
    long dirtyRate = in.getLong();
    // Behind the counters, which have always stood here.
    int writeBytes = in.getInt(in.position() + COUNTERS_BYTES);
    if (writeBytes < 1 || writeBytes > PageFormat.BODY_BYTES) {
      throw new IOException("writes of " + writeBytes + " bytes");
    }
    Registers registers = new Registers(seed, pattern, dirtyRate, set, writeBytes);
    registers.ticks = in.getLong();
    registers.writes = in.getLong();
    registers.pagesChecked = in.getLong();
    registers.faults = in.getLong();
    registers.longestGapMicros = in.getLong();
    registers.random = in.getLong();
    registers.strideNext = Math.floorMod(in.getLong(), pages);
    in.getInt();
    if (registers.dirtyRate < 0 || registers.writes < 0) {
      throw new IOException("the device state is malformed: a negative count");
    }
    if (in.get() != 0) {
      registers.lastTick =
          new GuestClock(new UUID(in.getLong(), in.getLong()), in.getLong(), in.getLong());
    }
    boolean fault = in.get() != 0;
    int length = Math.min(Short.toUnsignedInt(in.getShort()), in.remaining());
    byte[] text = new byte[length];
    in.get(text);
    if (fault) {
      registers.firstFault = new String(text, StandardCharsets.UTF_8);
    }
    set.restore(in);
    if (in.hasRemaining()) {
      throw new IOException(in.remaining() + " bytes behind the end of the device state");
    }
    return registers;
  }
}
