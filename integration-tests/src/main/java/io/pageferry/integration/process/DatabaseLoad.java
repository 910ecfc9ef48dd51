package io.pageferry.integration.process;

/**
 * What the database of a guest holds and what its client does, the same each time: records of some
 * 660 bytes of JSON, asked for as often as Zipf's law says, and replaced by their next version.
 *
 * @param records how many there are
 * @param operationsPerSecond how many are read or replaced; fewer where the machine cannot
 * @param readPercent how many of a hundred operations only read
 * @param seed of all that looks random
 */
public record DatabaseLoad(int records, int operationsPerSecond, int readPercent, long seed) {
  String kernelArguments() {
    return "pageferry_records=%d pageferry_rate=%d pageferry_reads=%d pageferry_seed=%d"
        .formatted(records, operationsPerSecond, readPercent, seed);
  }
}
