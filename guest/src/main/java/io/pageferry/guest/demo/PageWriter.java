package io.pageferry.guest.demo;

import java.lang.foreign.MemorySegment;

/**
 * One write of the guest: verify a page of the working set, then write all of it anew or, for a
 * guest that writes less, a part of it and its header.
 */
final class PageWriter {
  private final GuestMemory memory;
  private final Registers registers;
  private final PageContent content;
  private final PageCheck check;

  PageWriter(GuestMemory memory, Registers registers, PageContent content, PageCheck check) {
    this.memory = memory;
    this.registers = registers;
    this.content = content;
    this.check = check;
  }

  /** Writes the page that the pattern chooses. */
  void writeNext() {
    WorkingSet set = registers.workingSet;
    long index = registers.pattern.next(registers.nextRandom(), registers.writes, set.pages());
    long page = set.page(index);
    check.written(page, index);
    int generation = set.generation(index) + 1;
    int region = memory.regionOf(page);
    MemorySegment segment = memory.region(region);
    long offset = memory.offsetOf(page, region);
    boolean wasZero = registers.pattern.zero(registers.seed, page, generation - 1L);
    if (registers.pattern.zero(registers.seed, page, generation)) {
      segment.asSlice(offset, PageFormat.BYTES).fill((byte) 0);
    } else if (registers.writeBytes < PageFormat.BODY_BYTES && !wasZero) {
      content.change(segment, offset, page, generation, registers.writeBytes);
    } else {
      content.write(
          segment,
          offset,
          page,
          generation,
          registers.pattern.kind(registers.seed, page, generation));
    }
    set.setGeneration(index, generation);
    check.forget(page);
    registers.writes++;
  }
}
