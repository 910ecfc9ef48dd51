package io.pageferry.protocol.page;

/**
 * 128 bits over a whole image; 0 for an image that is all zero.
 *
 * @param high upper 64 bits
 * @param low lower 64 bits
 */
public record Digest(long high, long low) {
  /** 32 hexadecimal digits. */
  @Override
  public String toString() {
    return "%016x%016x".formatted(high, low);
  }
}
