package io.pageferry.guest.fault;

import java.util.Arrays;

/** A list of addresses that makes no garbage once it has grown. Owned by one thread. */
final class AddressList {
  private long[] addresses = new long[16];
  private int size;

  void add(long address) {
    if (size == addresses.length) {
      addresses = Arrays.copyOf(addresses, 2 * size);
    }
    addresses[size++] = address;
  }

  long get(int index) {
    return addresses[index];
  }

  int size() {
    return size;
  }

  void clear() {
    size = 0;
  }
}
