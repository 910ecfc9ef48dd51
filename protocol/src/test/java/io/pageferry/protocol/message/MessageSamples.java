package io.pageferry.protocol.message;

import java.util.Arrays;
import java.util.List;
import java.util.UUID;

/** One message of each type with the bytes of its payload, written out by hand. */
final class MessageSamples {
  static final UUID MIGRATION = UUID.fromString("00112233-4455-6677-8899-aabbccddeeff");
  private static final String MIGRATION_BYTES = "00112233445566778899aabbccddeeff";
  private static final String CAPABILITIES = "1700000000000000";
  private static final String LIMITS = "00001000" + "1000" + "0004";

  /** A message and its payload in hexadecimal. */
  record Sample(Message message, String hex) {}

  private MessageSamples() {}

  static List<Sample> all() {
    return List.of(
        new Sample(
            new Hello(
                new VersionRange(1, 2),
                ChannelRole.DATA,
                new Capabilities(0x17),
                Limits.CURRENT,
                "pf 0.1",
                MIGRATION,
                token(0xA5),
                3),
            "50474659" // P G F Y
                + "0100" // lowest version 1
                + "0200" // highest version 2
                + "02" // DATA
                + "00"
                + "0300" // channel 3
                + CAPABILITIES
                + LIMITS
                + MIGRATION_BYTES
                + "20" // 32 bytes of token
                + "a5".repeat(32)
                + "06" // 6 bytes of name
                + "706620302e31"),
        new Sample(
            new Welcome(1, new Capabilities(0x17), Limits.CURRENT, "pf"),
            "0100" + "0000" + CAPABILITIES + LIMITS + "02" + "7066"),
        new Sample(
            new Offer(
                MIGRATION,
                "demo",
                MigrationMode.PRECOPY,
                PostcopyWish.NO,
                List.of(new RegionOffer("ram", 0x20000000L)),
                4,
                true,
                300_000,
                List.of("machine type q35")),
            MIGRATION_BYTES
                + "01" // PRECOPY
                + "01" // reread both images
                + "0400" // four data channels
                + "01" // no post-copy
                + "000000"
                + "e093040000000000" // 300,000 µs
                + "04"
                + "64656d6f" // demo
                + "0100" // one region
                + "03"
                + "72616d" // ram
                + "0000002000000000" // 512 MiB
                + "0100" // one part of the machine
                + "10"
                + "6d616368696e65207479706520713335"), // machine type q35
        new Sample(
            new Accepted(List.of(token(1), token(2)), 12_000),
            "e02e000000000000" + "0200" + "00" + "00" + "01".repeat(32) + "02".repeat(32)),
        new Sample(
            new Accepted(List.of(token(1)), 12_000, token(0xA5)),
            "e02e000000000000" + "0100" + "01" + "00" + "01".repeat(32) + "a5".repeat(32)),
        new Sample(
            new Accepted(List.of(token(1)), 12_000, token(0xA5), 512),
            "e02e000000000000" + "0100" + "01" + "09" + "01".repeat(32) + "a5".repeat(32)),
        new Sample(new RoundBegin(2, true, 258), "02000000" + "01" + "000000" + "0201000000000000"),
        new Sample(new RoundEnd(2, 258), "02000000" + "00000000" + "0201000000000000"),
        new Sample(new RoundLanded(2, 258), "02000000" + "00000000" + "0201000000000000"),
        new Sample(
            new DirtySummary(2, 1, 7, List.of(new PageSpan(16, 5), new PageSpan(0x100000000L, 2))),
            "02000000"
                + "0100" // region 1
                + "0200" // two spans
                + "0700000000000000"
                + "1000000000000000"
                + "0500000000000000"
                + "0000000001000000"
                + "0200000000000000"),
        new Sample(
            new DeviceState(256, true, new byte[] {1, 2, 3}),
            "0001000000000000" + "01" + "000000" + "03000000" + "010203"),
        new Sample(
            new DigestValue(0x0102030405060708L, -2, true),
            "0807060504030201" + "feffffffffffffff" + "01" + "00000000000000"),
        new Sample(
            new Prepared(true, 0x0102030405060708L, -2),
            "0807060504030201" + "feffffffffffffff" + "01" + "00000000000000"),
        new Sample(new Commit(), ""),
        new Sample(
            new Started(1, 2, 3, 4, 5),
            "0100000000000000"
                + "0200000000000000"
                + "0300000000000000"
                + "0400000000000000"
                + "0500000000000000"),
        new Sample(
            new Abort(AbortReason.NO_MEMORY, "no memory: ½"),
            "0b00" + "0d00" + "6e6f206d656d6f72793a20c2bd"),
        new Sample(new KeepAlive(1), "0100000000000000"),
        new Sample(new OwnershipQuery(MIGRATION), MIGRATION_BYTES),
        new Sample(
            new Ownership(MIGRATION, OwnershipState.TAKEN_OVER),
            MIGRATION_BYTES + "04" + "00000000000000"),
        new Sample(new Reclaim(MIGRATION), MIGRATION_BYTES),
        new Sample(new Goodbye(), ""),
        new Sample(new Progress(258), "0201000000000000"),
        new Sample(
            new Missing(1, true, List.of(new PageSpan(16, 5), new PageSpan(0x10000000L, 2))),
            "0100" // region 1
                + "01" // last
                + "00"
                + "02000000" // two spans
                + "1000000000000000"
                + "0500000000000000"
                + "0000001000000000"
                + "0200000000000000"),
        new Sample(new Switch(4, 7), "04000000" + "00000000" + "0700000000000000"),
        new Sample(
            new PageRequest(1, new long[] {258, 0x10000000L}),
            "0100" // region 1
                + "0200" // two pages
                + "00000000"
                + "0201000000000000"
                + "0000001000000000"),
        new Sample(
            new Settled(0x0102030405060708L, -2, Comparison.EQUAL, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
            "0807060504030201"
                + "feffffffffffffff"
                + "01" // equal
                + "00000000000000"
                + "0100000000000000"
                + "0200000000000000"
                + "0300000000000000"
                + "0400000000000000"
                + "0500000000000000"
                + "0600000000000000"
                + "0700000000000000"
                + "0800000000000000"
                + "0900000000000000"
                + "0a00000000000000"),
        new Sample(new Resume(MIGRATION), MIGRATION_BYTES),
        new Sample(
            new Resumed(MIGRATION, 5, List.of(token(1)), token(0xA5)),
            MIGRATION_BYTES
                + "05000000" // round 5
                + "0100" // one data channel
                + "0000"
                + "01".repeat(32)
                + "a5".repeat(32)),
        new Sample(new Recall(token(0xA5)), "a5".repeat(32)),
        new Sample(
            new Recalled(1, true, 0x10000000L, digests()),
            "0100" // region 1
                + "01" // last
                + "00"
                + "02000000" // two pages
                + "0000001000000000"
                + "00".repeat(64) // one that is not there
                + digestsInHex()),
        new Sample(
            new Found(3, new byte[] {Found.HELD, Found.WANTED, Found.COMING}),
            "03000000" // round 3
                + "0300" // three pages
                + "0000"
                + "010203"));
  }

  private static byte[] digests() {
    byte[] digests = new byte[2 * Recalled.DIGEST_BYTES];
    for (int i = 0; i < Recalled.DIGEST_BYTES; i++) {
      digests[Recalled.DIGEST_BYTES + i] = (byte) (i + 1);
    }
    return digests;
  }

  private static String digestsInHex() {
    StringBuilder all = new StringBuilder();
    for (int i = 1; i <= Recalled.DIGEST_BYTES; i++) {
      all.append(String.format("%02x", i));
    }
    return all.toString();
  }

  static byte[] token(int fill) {
    byte[] token = new byte[Hello.TOKEN_BYTES];
    Arrays.fill(token, (byte) fill);
    return token;
  }
}
