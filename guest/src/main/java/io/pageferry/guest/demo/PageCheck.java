package io.pageferry.guest.demo;

import static io.pageferry.guest.demo.PageFormat.BYTES;
import static io.pageferry.guest.demo.PageFormat.WORD;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.BitSet;

/**
 * Compares pages with what the registers say they must be. A page with a fault is counted once,
 * until it is written again. One thread at a time.
 */
final class PageCheck {
  private final GuestMemory memory;
  private final Registers registers;
  private final MemorySegment zeros = Arena.ofAuto().allocate(BYTES, BYTES);
  private final ByteBuffer copy = ByteBuffer.allocateDirect(BYTES);
  private final MemorySegment copied = MemorySegment.ofBuffer(copy);
  private final BitSet known = new BitSet();

  PageCheck(GuestMemory memory, Registers registers) {
    this.memory = memory;
    this.registers = registers;
  }

  /** Checks any page of the guest. */
  void page(long page) {
    long index = registers.workingSet.indexOf(page);
    if (index >= 0) {
      written(page, index);
      return;
    }
    registers.pagesChecked++;
    if (!registers.pattern.zeroForEver(registers.seed, page)) {
      int region = memory.regionOf(page);
      long offset = memory.offsetOf(page, region);
      memory.await(region, offset);
      content(memory.region(region), offset, page, 1);
    } else if (memory.hasFiles()) {
      // Through the file: reading a hole through the mapping would give it memory.
      copy.clear();
      try {
        memory.read(page, copy);
      } catch (IOException e) {
        throw new UncheckedIOException("page " + page + " cannot be read", e);
      }
      zero(copied, 0, page, 1);
    }
  }

  /** Checks a page of the working set. */
  void written(long page, long index) {
    registers.pagesChecked++;
    long generation = registers.workingSet.generation(index);
    int region = memory.regionOf(page);
    long offset = memory.offsetOf(page, region);
    memory.await(region, offset);
    if (registers.pattern.zero(registers.seed, page, generation)) {
      zero(memory.region(region), offset, page, generation);
    } else {
      content(memory.region(region), offset, page, generation);
    }
  }

  /** The page was written: what was wrong with it is gone. */
  void forget(long page) {
    if (registers.faults != 0) {
      known.clear((int) page);
    }
  }

  private void zero(MemorySegment segment, long offset, long page, long generation) {
    long at = MemorySegment.mismatch(segment, offset, offset + BYTES, zeros, 0, BYTES);
    if (at >= 0) {
      fault(
          page,
          "page "
              + page
              + " must be zero (generation "
              + generation
              + "), but its byte "
              + at
              + " is not; "
              + describe(segment, offset));
    }
  }

  private void content(MemorySegment segment, long offset, long page, long generation) {
    if (segment.get(WORD, offset + PageFormat.NUMBER) != page
        || segment.get(WORD, offset + PageFormat.GENERATION) != generation
        || segment.get(WORD, offset + PageFormat.CHECKSUM)
            != PageFormat.checksum(segment, offset, registers.seed)) {
      wrong(segment, offset, page, generation);
    }
  }

  private void wrong(MemorySegment segment, long offset, long page, long generation) {
    String expected = "page " + page + " must be of generation " + generation + ", but ";
    if (MemorySegment.mismatch(segment, offset, offset + BYTES, zeros, 0, BYTES) < 0) {
      fault(page, expected + "it is zero (lost)");
      return;
    }
    long number = segment.get(WORD, offset + PageFormat.NUMBER);
    long found = segment.get(WORD, offset + PageFormat.GENERATION);
    boolean whole =
        segment.get(WORD, offset + PageFormat.CHECKSUM)
            == PageFormat.checksum(segment, offset, registers.seed);
    if (!whole) {
      fault(page, expected + "its checksum does not match (torn); " + describe(segment, offset));
    } else if (number != page) {
      fault(
          page, expected + "page " + number + " of generation " + found + " is there (misplaced)");
    } else if (found < generation) {
      fault(page, expected + "generation " + found + " is there (stale)");
    } else {
      fault(page, expected + "generation " + found + " is there (from the future)");
    }
  }

  private static String describe(MemorySegment segment, long offset) {
    return "its header says page "
        + Long.toUnsignedString(segment.get(WORD, offset + PageFormat.NUMBER))
        + " of generation "
        + Long.toUnsignedString(segment.get(WORD, offset + PageFormat.GENERATION));
  }

  private void fault(long page, String description) {
    if (known.get((int) page)) {
      return;
    }
    known.set((int) page);
    registers.faults++;
    if (registers.firstFault == null) {
      registers.firstFault = description;
    }
  }
}
