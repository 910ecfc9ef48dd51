package io.pageferry.integration.bench;

import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.TemporaryPki;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * How memory crosses: throughput of the first round against the bare loop, compression on a slow
 * link, the downtime of the demo, and the agents' memory.
 *
 * <p>The guest does not write during throughput runs, and the time is that of the first round, not
 * of starting processes. Every series begins with a run that does not count: the first touch of
 * fresh memory on a virtual machine can cost three times as much.
 */
final class WireBench implements Benchmark {
  private static final String STILL = "0";
  private static final double GIGA = 1e9;
  private static final double MEBI = 1 << 20;
  private static final double DOWNTIME_LIMIT_MS = 30;
  private static final double RESIDENT_LIMIT_MIB = 256;
  private static final List<String> ONE_CHANNEL = List.of("--channels", "1");
  private static final List<String> ONE_GIGABIT =
      List.of("--channels", "1", "--bandwidth", "1Gbit");

  private final boolean quick;
  private final int runs;
  private final Workplace workplace;
  private final BareLoopYardstick bareLoop;
  private final MeasuredMigrations plain;
  private final MeasuredMigrations encrypted;

  private WireBench(
      boolean quick,
      Workplace workplace,
      BareLoopYardstick bareLoop,
      MeasuredMigrations plain,
      MeasuredMigrations encrypted) {
    this.quick = quick;
    this.runs = quick ? 2 : 5;
    this.workplace = workplace;
    this.bareLoop = bareLoop;
    this.plain = plain;
    this.encrypted = encrypted;
  }

  static WireBench start(boolean quick) throws IOException, InterruptedException {
    Workplace workplace = Workplace.create("pageferry-bench");
    Runtime.getRuntime().addShutdownHook(new Thread(workplace::close, "bench-ends"));
    Path pki = TemporaryPki.create(workplace.subfolder("pki"), "source", "target");
    return new WireBench(
        quick,
        workplace,
        BareLoopYardstick.start(workplace),
        MeasuredMigrations.between(workplace, "plain", PeerSecurity.plaintext()),
        MeasuredMigrations.between(workplace, "tls", PeerSecurity.tls(pki)));
  }

  @Override
  public void run(Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    String raw = "incompressible image, plain, one channel";
    if (wanted.test(raw)) {
      results.add(againstBareLoop(raw, plain, Content.OF_THE_GUEST));
    }
    String tls = "incompressible image, TLS, one channel";
    if (wanted.test(tls)) {
      results.add(againstBareLoop(tls, encrypted, Content.OF_THE_GUEST));
    }
    String zero = "zero image, memory covered";
    if (wanted.test(zero)) {
      results.add(againstBareLoop(zero, encrypted, Content.ZERO));
    }
    String text = "text-like image at 1 Gbit/s, LZ4";
    if (wanted.test(text)) {
      results.add(compression(text));
    }
    String downtime = "demo, downtime in the guest";
    if (wanted.test(downtime)) {
      results.add(downtime(downtime));
    }
    String resident = "8 GiB guest, resident memory of the ";
    if (!quick && (wanted.test(resident + "source") || wanted.test(resident + "target"))) {
      resident(resident, results);
    }
  }

  private enum Content {
    OF_THE_GUEST,
    ZERO
  }

  private Figure againstBareLoop(String name, MeasuredMigrations hosts, Content content)
      throws IOException, InterruptedException {
    Series values = new Series();
    Series yardstick = new Series();
    for (int run = 0; run <= runs; run++) {
      DemoGuestSpec spec =
          DemoGuestSpec.uniform("still", quick ? "512M" : "2G", STILL).withPattern("random");
      DemoGuest guest = hosts.start(spec);
      Path image = guest.images().getFirst();
      if (content == Content.ZERO) {
        fillWithZeros(image);
      }
      double loop = bareLoop.run(image);
      double moved = hosts.move(guest, ONE_CHANNEL).memoryPerSecond();
      if (run > 0) {
        values.add(moved / GIGA);
        yardstick.add(loop / GIGA);
      }
    }
    return Figure.of(name, values, "GB/s", "bare loop", yardstick);
  }

  private static void fillWithZeros(Path image) throws IOException {
    ByteBuffer zeros = ByteBuffer.allocateDirect(1 << 20);
    try (FileChannel file = FileChannel.open(image, StandardOpenOption.WRITE)) {
      for (long at = 0; at < file.size(); ) {
        zeros.clear().limit((int) Math.min(zeros.capacity(), file.size() - at));
        at += file.write(zeros, at);
      }
    }
  }

  private Figure compression(String name) throws IOException, InterruptedException {
    Series lz4 = new Series();
    Series raw = new Series();
    for (int run = 0; run <= runs; run++) {
      DemoGuestSpec spec =
          DemoGuestSpec.uniform("text", quick ? "256M" : "512M", STILL).withPattern("text");
      double compressed =
          encrypted.move(encrypted.start(spec), with(ONE_GIGABIT, "lz4")).memoryPerSecond();
      double plainly =
          encrypted.move(encrypted.start(spec), with(ONE_GIGABIT, "off")).memoryPerSecond();
      if (run > 0) {
        lz4.add(compressed / GIGA);
        raw.add(plainly / GIGA);
      }
    }
    return Figure.of(name, lz4, "GB/s", "raw pages at the same cap", raw);
  }

  private static List<String> with(List<String> options, String compress) {
    List<String> all = new ArrayList<>(options);
    all.addAll(List.of("--compress", compress));
    return all;
  }

  private Figure downtime(String name) throws IOException, InterruptedException {
    Series millis = new MeasuredDemos(workplace).downtimes(quick ? 5 : 10);
    return Figure.of(name, millis, "ms", "limit", DOWNTIME_LIMIT_MS);
  }

  private void resident(String name, Results results) throws IOException, InterruptedException {
    DemoGuestSpec spec = DemoGuestSpec.uniform("large", "8G", "20MB/s").withPattern("mostly-zero");
    Passage passage = encrypted.move(encrypted.start(spec), List.of());
    Series source = new Series();
    source.add(passage.sourceResident() / MEBI);
    Series target = new Series();
    target.add(passage.targetResident() / MEBI);
    results.add(Figure.of(name + "source", source, "MiB", "limit", RESIDENT_LIMIT_MIB));
    results.add(Figure.of(name + "target", target, "MiB", "limit", RESIDENT_LIMIT_MIB));
  }

  @Override
  public void close() {
    workplace.close();
  }
}
