package io.pageferry.protocol.page;

/** What went out, counted by whoever encodes. Plain numbers, owned by one thread at a time. */
public final class PageTally {
  private long zero;
  private long raw;
  private long lz4;
  private long zstd;
  private long delta;
  private long known;
  private long partlyKnown;
  private long partsBytes;
  private long deduplicated;
  private long deltaHits;
  private long deltaMisses;
  private long deltaOverflows;
  private long frames;
  private long wireBytes;

  void zero(long pages) {
    zero += pages;
  }

  void raw(long pages) {
    raw += pages;
  }

  void lz4(long pages) {
    lz4 += pages;
  }

  void zstd(long pages) {
    zstd += pages;
  }

  void delta(long pages) {
    delta += pages;
  }

  void known(long pages) {
    known += pages;
  }

  void partlyKnown(long pages) {
    partlyKnown += pages;
  }

  void parts(long bytes) {
    partsBytes += bytes;
  }

  void deduplicated(long pages) {
    deduplicated += pages;
  }

  void deltaHit() {
    deltaHits++;
  }

  void deltaMiss() {
    deltaMisses++;
  }

  void deltaOverflow() {
    deltaOverflows++;
  }

  void frame(int bytes) {
    frames++;
    wireBytes += bytes;
  }

  /** Pages that were all zero. */
  public long zero() {
    return zero;
  }

  /** Pages sent as they are. */
  public long raw() {
    return raw;
  }

  /** Pages sent compressed with LZ4. */
  public long lz4() {
    return lz4;
  }

  /** Pages sent compressed with zstd. */
  public long zstd() {
    return zstd;
  }

  /** Pages sent as the difference from what the target has. */
  public long delta() {
    return delta;
  }

  /** Pages that were only named, because the target still has them from an earlier time. */
  public long known() {
    return known;
  }

  /** Pages of which only parts were sent, because the target still has the rest. */
  public long partlyKnown() {
    return partlyKnown;
  }

  /** Bytes of the runs in which pages went in part, with what went whole among them. */
  public long partsBytes() {
    return partsBytes;
  }

  /** Pages of which only the digest was sent, because the target found their content. */
  public long deduplicated() {
    return deduplicated;
  }

  /** Pages sent again whose base was in the cache, whether the difference paid or not. */
  public long deltaHits() {
    return deltaHits;
  }

  /** Pages sent again whose base was not in the cache. */
  public long deltaMisses() {
    return deltaMisses;
  }

  /** Pages that were not kept, or gave way to another, because the cache was full. */
  public long deltaOverflows() {
    return deltaOverflows;
  }

  /** All pages. */
  public long pages() {
    return zero + raw + lz4 + zstd + delta + known + partlyKnown + deduplicated;
  }

  /** Frames, each with its header. */
  public long frames() {
    return frames;
  }

  /** Bytes of all frames, headers included, before TLS. */
  public long wireBytes() {
    return wireBytes;
  }

  /** Adds another tally to this one. */
  public void add(PageTally other) {
    zero += other.zero;
    raw += other.raw;
    lz4 += other.lz4;
    zstd += other.zstd;
    delta += other.delta;
    known += other.known;
    partlyKnown += other.partlyKnown;
    partsBytes += other.partsBytes;
    deduplicated += other.deduplicated;
    deltaHits += other.deltaHits;
    deltaMisses += other.deltaMisses;
    deltaOverflows += other.deltaOverflows;
    frames += other.frames;
    wireBytes += other.wireBytes;
  }

  @Override
  public String toString() {
    return "%d zero, %d raw, %d lz4, %d zstd, %d delta, %d known, %d partly, %d deduplicated in %d frames, %d bytes"
        .formatted(
            zero, raw, lz4, zstd, delta, known, partlyKnown, deduplicated, frames, wireBytes);
  }
}
