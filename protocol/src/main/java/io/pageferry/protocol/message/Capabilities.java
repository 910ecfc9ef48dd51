package io.pageferry.protocol.message;

/**
 * What a side can do beyond the basics, as a bit set. What holds for a migration is what both sides
 * have; a bit that this version does not know therefore drops out by itself.
 *
 * @param bits any combination
 */
public record Capabilities(long bits) {
  /** Runs of zero pages without data. */
  public static final long ZERO_RUNS = 1;

  /** Runs compressed with LZ4. */
  public static final long LZ4 = 1 << 1;

  /** Pages as the difference from what the target has. */
  public static final long DELTA = 1 << 2;

  /** Pages that the target still has from an earlier time, by name only. */
  public static final long KNOWN = 1 << 3;

  /** Post-copy and its fault channel. */
  public static final long POSTCOPY = 1 << 4;

  /** Runs compressed with zstd. */
  public static final long ZSTD = 1 << 5;

  /** Pages by their digest, for the target to look for their content. */
  public static final long REFERENCE = 1 << 6;

  /** What this program can do on this machine. */
  public static final Capabilities CURRENT =
      new Capabilities(
          ZERO_RUNS
              | LZ4
              | DELTA
              | KNOWN
              | POSTCOPY
              | REFERENCE
              | (ZstdLibrary.isThere() ? ZSTD : 0));

  /** Whether all the given bits are set. */
  public boolean has(long capability) {
    return (bits & capability) == capability;
  }

  /** What both sides can do. */
  public Capabilities intersect(Capabilities other) {
    return new Capabilities(bits & other.bits);
  }

  @Override
  public String toString() {
    return "0x" + Long.toHexString(bits);
  }
}
