package io.pageferry.guest.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.pageferry.guest.dirty.GuestGoneException;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.GuestRegion;
import io.pageferry.guest.handover.HandoverException;
import io.pageferry.guest.handover.HandoverMessage;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.HugePagePool;
import io.pageferry.guest.image.Images;
import io.pageferry.guest.image.PageRunConsumer;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.LinuxFile;
import io.pageferry.guest.linux.MemoryMapping;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Faults of a real process, served from here. */
class FaultServiceTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 512;
  private static final int GRANULE = 512;
  private static final long BYTES = (long) PAGES * PAGE;
  private static final Duration LIMIT = Duration.ofSeconds(60);

  private Path folder = Path.of("");

  /** What the guest's memory is made of. */
  enum Memory {
    FILE(9),
    ANONYMOUS(4);

    /** The advice that gives it back: MADV_REMOVE, MADV_DONTNEED. */
    final int advice;

    Memory(int advice) {
      this.advice = advice;
    }

    String removal() {
      return this == FILE ? "remove" : "forget";
    }
  }

  @BeforeEach
  void makeFolder() throws IOException {
    folder = Images.tmpfsFolder();
  }

  @AfterEach
  void removeFolder() throws IOException {
    Images.deleteFolder(folder);
  }

  /** The source, as far as the target sees it: what it was asked for. */
  private static final class Requests implements FaultSink {
    final BlockingQueue<List<Long>> asked = new LinkedBlockingQueue<>();
    final CompletableFuture<Void> gone = new CompletableFuture<>();
    final CompletableFuture<Throwable> failure = new CompletableFuture<>();
    final Set<Thread> askers = ConcurrentHashMap.newKeySet();

    @Override
    public void request(int region, long[] pages, int count) {
      askers.add(Thread.currentThread());
      List<Long> copy = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        copy.add((long) region << 32 | pages[i]);
      }
      asked.add(copy);
    }

    @Override
    public void guestGone() {
      gone.complete(null);
    }

    @Override
    public void failed(IOException cause) {
      failure.complete(cause);
    }

    List<Long> next() throws InterruptedException {
      List<Long> next = asked.poll(LIMIT.toSeconds(), TimeUnit.SECONDS);
      assertThat(next).as("a request").isNotNull();
      return next == null ? List.of() : next;
    }
  }

  /** A guest of two regions whose pages are all missing, and the service for it. */
  private final class Served implements AutoCloseable {
    final FaultingProcess guest;
    final MissingPages missing;
    final Requests requests = new Requests();
    final List<GuestRegion> regions =
        List.of(new GuestRegion("low", BYTES), new GuestRegion("high", BYTES));
    final @Nullable GuestImage image;
    final GuestHandover handover;
    FaultService service;

    /** What was reported as landed, by any thread. */
    final List<String> reported = Collections.synchronizedList(new ArrayList<>());

    final PageRunConsumer landed =
        (region, first, count) -> {
          for (long page = first; page < first + count; page++) {
            reported.add(region + ":" + page);
          }
        };

    Served(Memory memory) throws Exception {
      if (memory == Memory.FILE) {
        List<Path> files =
            List.of(
                Images.sparse(folder.resolve("low"), BYTES),
                Images.sparse(folder.resolve("high"), BYTES));
        guest = FaultingProcess.start("file:" + files.get(0), "file:" + files.get(1));
        image = GuestImage.openExisting(Images.describe(folder, files, 0));
      } else {
        guest = FaultingProcess.start("anonymous:" + BYTES, "anonymous:" + BYTES);
        image = null;
      }
      missing = MissingPages.create(folder.resolve("missing"), List.of((long) PAGES, (long) PAGES));
      missing.add(0, 0, PAGES);
      missing.add(1, 0, PAGES);
      handover = guest.handOver(folder);
      service = serve(handover, missing, requests);
    }

    FaultService serve(GuestHandover handover, MissingPages pages, FaultSink sink)
        throws IOException {
      return image == null
          ? FaultService.start(handover, regions, pages, sink)
          : FaultService.start(handover, image, pages, sink);
    }

    void land(int region, long first, int count) throws IOException {
      service.land(region, first, pages(region, first, count), landed);
    }

    @Override
    public void close() {
      service.close();
      guest.close();
      if (image != null) {
        image.close();
      }
      assertThat(requests.failure).isNotDone();
    }
  }

  /** Pages with the content that they have at the source. */
  private static ByteBuffer pages(int region, long first, int count) {
    ByteBuffer pages = ByteBuffer.allocateDirect(count * PAGE).order(ByteOrder.nativeOrder());
    for (int i = 0; i < count; i++) {
      pages.putLong(i * PAGE, FaultingProcess.content(region, first + i));
      pages.putLong(i * PAGE + PAGE - 8, FaultingProcess.content(region, first + i));
    }
    return pages;
  }

  /**
   * Many times, because the kernel's own wake-up at the end comes too early for a few of those who
   * fault at that moment.
   */
  @Test
  @Timeout(value = 240, unit = TimeUnit.SECONDS)
  void nobodyWaitsWhenTheServiceEnds() throws Exception {
    int walkers = 4;
    int pages = 4 * PAGES;
    Random random = new Random(3);
    List<GuestRegion> regions = List.of(new GuestRegion("all", (long) pages * PAGE));
    try (FaultingProcess guest = FaultingProcess.start("anonymous:" + (long) pages * PAGE)) {
      for (int round = 0; round < 200; round++) {
        GuestHandover handover = guest.handOver(folder);
        MissingPages none = MissingPages.create(folder.resolve("missing"), List.of((long) pages));
        FaultService service = FaultService.start(handover, regions, none, new Requests());
        List<CompletableFuture<String>> walks = new ArrayList<>();
        for (int walker = 0; walker < walkers; walker++) {
          walks.add(guest.tell("walk 0 %d %d %d".formatted(walker, pages - walker, walkers)));
        }
        // In the midst of it: a fault every few microseconds.
        int seen = random.nextInt(pages * 3 / 4);
        while (service.statistics().localFaults() < seen) {
          Thread.onSpinWait();
        }
        service.finish();
        service.close();
        for (CompletableFuture<String> walk : walks) {
          assertThat(walk.get(60, TimeUnit.SECONDS)).as("round " + round).isEqualTo("done");
        }
        guest.ask("forget 0 0 " + pages);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void bringsWhatTheGuestTouchesOnceForAllWhoWait(Memory memory) throws Exception {
    try (Served served = new Served(memory)) {
      CompletableFuture<String> one = served.guest.tell("read 1 5");
      assertThat(served.requests.next()).containsExactly(1L << 32 | 5);
      CompletableFuture<String> other = served.guest.tell("read 1 5");
      CompletableFuture<String> elsewhere = served.guest.tell("read 0 7");
      assertThat(served.requests.next()).containsExactly(7L);
      assertThat(served.service.statistics().waiting()).isEqualTo(2);
      assertThat(served.service.oldestRequestNanos()).isPositive();
      served.land(1, 5, 1);
      assertThat(one.get(60, TimeUnit.SECONDS)).isEqualTo("" + FaultingProcess.content(1, 5));
      assertThat(other.get(60, TimeUnit.SECONDS)).isEqualTo(one.join());
      assertThat(elsewhere).isNotDone();
      served.land(0, 0, 16);
      assertThat(elsewhere.get(60, TimeUnit.SECONDS)).isEqualTo("" + FaultingProcess.content(0, 7));
      FaultStatistics statistics = served.service.statistics();
      assertThat(statistics.faults()).isEqualTo(2);
      assertThat(statistics.waiting()).isZero();
      assertThat(served.service.oldestRequestNanos()).isZero();
      assertThat(statistics.avoided()).isEqualTo(15);
      assertThat(statistics.p50Nanos()).isPositive();
      assertThat(statistics.maxNanos()).isGreaterThanOrEqualTo(statistics.p50Nanos());
      assertThat(served.service.missing()).isEqualTo(2 * PAGES - 17);
      assertThat(served.requests.asked).isEmpty();
    }
  }

  @Test
  void anotherThreadServesTheFaultsForAsLongAsItWatches() throws Exception {
    try (Served served = new Served(Memory.ANONYMOUS)) {
      FaultWatch watch = served.service.watch();
      for (int page = 0; page < 50; page++) {
        CompletableFuture<String> reading = served.guest.tell("read 0 " + page);
        while (served.requests.asked.isEmpty()) {
          assertThat(watch.serve()).isTrue();
        }
        assertThat(served.requests.next()).containsExactly((long) page);
        served.land(0, page, 1);
        assertThat(reading.get(60, TimeUnit.SECONDS))
            .isEqualTo("" + FaultingProcess.content(0, page));
      }
      // The service's own looks now and then; it cannot have been first each time.
      assertThat(served.requests.askers).contains(Thread.currentThread());

      served.requests.askers.clear();
      watch.close();
      watch.close();
      CompletableFuture<String> reading = served.guest.tell("read 1 7");
      assertThat(served.requests.next()).containsExactly(1L << 32 | 7);
      assertThat(served.requests.askers).doesNotContain(Thread.currentThread());
      served.land(1, 7, 1);
      assertThat(reading.get(60, TimeUnit.SECONDS)).isEqualTo("" + FaultingProcess.content(1, 7));
    }
  }

  @Test
  void nobodyReadsTheFaultsOfAServiceThatHasClosed() throws Exception {
    try (Served served = new Served(Memory.ANONYMOUS)) {
      try (FaultWatch watch = served.service.watch()) {
        served.service.close();
        assertThat(watch.serve()).isFalse();
      }
      assertThatThrownBy(() -> served.service.watch()).isInstanceOf(IOException.class);
    }
  }

  /** A thread that never serves does not keep the guest waiting for good. */
  @Test
  void aWatchThatSleepsIsStoodInFor() throws Exception {
    try (Served served = new Served(Memory.ANONYMOUS);
        FaultWatch watch = served.service.watch()) {
      assertThat(watch.descriptor()).isPositive();
      CompletableFuture<String> reading = served.guest.tell("read 0 3");
      assertThat(served.requests.next()).containsExactly(3L);
      served.land(0, 3, 1);
      assertThat(reading.get(60, TimeUnit.SECONDS)).isEqualTo("" + FaultingProcess.content(0, 3));
    }
  }

  @ParameterizedTest
  @EnumSource
  void answersWithZerosWhatIsNotMissing(Memory memory) throws Exception {
    try (Served served = new Served(memory)) {
      served.service.landZero(0, 0, 100, served.landed);
      assertThat(served.guest.read(0, 99)).isZero();
      CompletableFuture<String> waiting = served.guest.tell("read 0 100");
      assertThat(served.requests.next()).containsExactly(100L);
      served.service.landZero(0, 100, 2, served.landed);
      assertThat(waiting.get(60, TimeUnit.SECONDS)).isEqualTo("0");
      served.land(0, 98, 4); // zero was the last word
      assertThat(served.guest.read(0, 99)).isZero();
      assertThat(served.guest.read(0, 101)).isZero();
      FaultStatistics statistics = served.service.statistics();
      assertThat(statistics.faults()).isEqualTo(1);
      assertThat(statistics.localFaults()).isPositive();
      assertThat(statistics.duplicates()).isEqualTo(4);
      assertThat(served.reported).hasSize(102).doesNotHaveDuplicates();
    }
  }

  @ParameterizedTest
  @EnumSource
  void everyPageIsRightUnderPushAndFaultsAtOnce(Memory memory) throws Exception {
    try (Served served = new Served(memory)) {
      List<CompletableFuture<String>> readers = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        readers.add(served.guest.tell("wrong " + i % 2 + " 0 " + PAGES));
      }
      List<CompletableFuture<Void>> landings = new ArrayList<>();
      landings.add(CompletableFuture.runAsync(() -> answer(served)));
      for (int i = 0; i < 2; i++) {
        int seed = i;
        landings.add(CompletableFuture.runAsync(() -> push(served, seed)));
      }
      for (CompletableFuture<String> reader : readers) {
        assertThat(reader.get(60, TimeUnit.SECONDS)).isEqualTo("0");
      }
      for (CompletableFuture<Void> landing : landings) {
        landing.get(60, TimeUnit.SECONDS);
      }
      served.service.complete().get(60, TimeUnit.SECONDS);
      FaultStatistics statistics = served.service.statistics();
      assertThat(statistics.waiting()).isZero();
      assertThat(statistics.duplicates()).isGreaterThanOrEqualTo(2 * PAGES);
      assertThat(served.reported).hasSize(2 * PAGES).doesNotHaveDuplicates();
      served.service.finish();
      assertThat(served.guest.ask("wrong 0 0 " + PAGES)).isEqualTo("0");
      // Nobody watches any more: what is given back is zero at once.
      assertThat(served.guest.ask("removeAndRead 0 3 " + memory.advice)).isEqualTo("0");
    }
  }

  /** Lands what is asked for until all is there. */
  private static void answer(Served served) {
    try {
      while (served.service.missing() > 0) {
        List<Long> asked = served.requests.asked.poll(5, TimeUnit.MILLISECONDS);
        if (asked != null) {
          for (long page : asked) {
            served.land((int) (page >> 32), page & 0xffff_ffffL, 1);
          }
        }
      }
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Lands everything, in pieces, in an order of its own. */
  private static void push(Served served, int seed) {
    List<Integer> pieces = new ArrayList<>();
    for (int i = 0; i < 2 * PAGES; i += 32) {
      pieces.add(i);
    }
    Collections.shuffle(pieces, new Random(seed));
    try {
      for (int piece : pieces) {
        served.land(piece / PAGES, piece % PAGES, 32);
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @ParameterizedTest
  @EnumSource
  void aPageThatComesTwiceDoesNotUndoWhatTheGuestWrote(Memory memory) throws Exception {
    try (Served served = new Served(memory)) {
      served.land(0, 10, 4);
      assertThat(served.guest.ask("write 0 11 77")).isEqualTo("done");
      served.land(0, 8, 8);
      assertThat(served.guest.read(0, 11)).isEqualTo(77);
      assertThat(served.guest.read(0, 15)).isEqualTo(FaultingProcess.content(0, 15));
      assertThat(served.service.statistics().duplicates()).isEqualTo(4);
    }
  }

  @Test
  void aPageThatIsThereAlthoughItCountsAsMissingStays() throws Exception {
    try (Served served = new Served(Memory.FILE)) {
      // As if an agent had been killed between landing the pages and noting it.
      GuestImage image = served.image;
      assertThat(image).isNotNull();
      if (image != null) {
        image.write(1, 20, pages(0, 3, 2));
      }
      served.land(1, 16, 16);
      assertThat(served.guest.read(1, 20)).isEqualTo(FaultingProcess.content(0, 3));
      assertThat(served.guest.read(1, 22)).isEqualTo(FaultingProcess.content(1, 22));
      assertThat(served.service.statistics().duplicates()).isEqualTo(2);
      assertThat(served.reported).hasSize(14).doesNotContain("1:20", "1:21");
      assertThat(served.service.missing()).isEqualTo(2 * PAGES - 16);
    }
  }

  @ParameterizedTest
  @EnumSource
  void whatTheGuestGaveBackStaysZeroWhateverLandsAfterwards(Memory memory) throws Exception {
    try (Served served = new Served(memory)) {
      CompletableFuture<String> waiting = served.guest.tell("read 0 9");
      assertThat(served.requests.next()).containsExactly(9L);
      assertThat(served.guest.ask(memory.removal() + " 0 8 8")).isEqualTo("done");
      // Who waited is answered although the page never comes.
      assertThat(waiting.get(60, TimeUnit.SECONDS)).isEqualTo("0");
      served.land(0, 0, 32);
      for (long page = 8; page < 16; page++) {
        assertThat(served.guest.read(0, page)).isZero();
      }
      assertThat(served.guest.read(0, 7)).isEqualTo(FaultingProcess.content(0, 7));
      assertThat(served.guest.read(0, 16)).isEqualTo(FaultingProcess.content(0, 16));
      assertThat(served.service.statistics().removedPages()).isEqualTo(8);
      assertThat(served.service.missing()).isEqualTo(2 * PAGES - 32);
    }
  }

  /** Only one that watches for it is told: no guest of ours, but another may. */
  @Test
  void whatTheGuestUnmapsIsMissedNoMore() throws Exception {
    try (FaultingProcess guest = FaultingProcess.start("anonymous:" + BYTES)) {
      MissingPages missing = MissingPages.create(folder.resolve("missing"), List.of((long) PAGES));
      missing.add(0, 0, PAGES);
      GuestHandover handover = guest.handOver(folder, "handoverWithUnmap");
      Requests requests = new Requests();
      try (FaultService service =
          FaultService.start(handover, List.of(new GuestRegion("ram", BYTES)), missing, requests)) {
        // It goes on once that has been read.
        assertThat(guest.ask("unmap 0 8 8")).isEqualTo("done");
        service.land(0, 0, pages(0, 0, 32), (region, first, count) -> {});
        assertThat(service.statistics().removedPages()).isEqualTo(8);
        assertThat(service.missing()).isEqualTo(PAGES - 32);
        assertThat(guest.read(0, 7)).isEqualTo(FaultingProcess.content(0, 7));
        assertThat(guest.read(0, 16)).isEqualTo(FaultingProcess.content(0, 16));
        // What it puts there is its own.
        assertThat(guest.ask("mapAgain 0 8 8")).isEqualTo("done");
        assertThat(guest.read(0, 9)).isZero();
        CompletableFuture<String> waiting = guest.tell("read 0 40");
        assertThat(requests.next()).containsExactly(40L);
        service.land(0, 40, pages(0, 40, 1), (region, first, count) -> {});
        assertThat(waiting.get(60, TimeUnit.SECONDS))
            .isEqualTo(Long.toString(FaultingProcess.content(0, 40)));
      }
      assertThat(requests.failure).isNotDone();
    }
  }

  /** Its descriptor says nothing of that, like Firecracker's: only the kernel's no does. */
  @Test
  void whatTheGuestUnmapsWithoutAWordCountsAsGivenBack() throws Exception {
    try (FaultingProcess guest = FaultingProcess.start("anonymous:" + BYTES)) {
      MissingPages missing = MissingPages.create(folder.resolve("missing"), List.of((long) PAGES));
      missing.add(0, 0, PAGES);
      Requests requests = new Requests();
      List<Long> landed = new ArrayList<>();
      try (FaultService service =
          FaultService.start(
              guest.handOver(folder), List.of(new GuestRegion("ram", BYTES)), missing, requests)) {
        assertThat(guest.ask("unmap 0 8 8")).isEqualTo("done");
        service.land(
            0,
            0,
            pages(0, 0, 32),
            (region, first, count) -> LongStream.range(first, first + count).forEach(landed::add));
        assertThat(service.statistics().removedPages()).isEqualTo(8);
        assertThat(landed)
            .containsExactlyElementsOf(
                LongStream.range(0, 32).filter(page -> page < 8 || page >= 16).boxed().toList());
        assertThat(service.missing()).isEqualTo(PAGES - 32);
        assertThat(guest.read(0, 16)).isEqualTo(FaultingProcess.content(0, 16));
      }
      assertThat(requests.failure).isNotDone();
    }
  }

  @ParameterizedTest
  @EnumSource
  void aLandingThatRacesWithGivingBackNeverWins(Memory memory) throws Exception {
    try (Served served = new Served(memory)) {
      Path file = Images.sparse(folder.resolve("progress"), 8);
      try (LinuxFile progress = LinuxFile.open(file);
          MemoryMapping mapped = progress.map(8, true)) {
        CompletableFuture<String> wrong = served.guest.tell("race 0 " + memory.advice + " " + file);
        Random random = new Random(1);
        for (int page = 0; page < PAGES; page++) {
          ByteBuffer content = pages(0, page, 1);
          while ((long) FaultingMain.PROGRESS.getVolatile(mapped.segment(), 0L) <= page) {
            Thread.onSpinWait();
          }
          long until = System.nanoTime() + random.nextInt(60_000);
          while (System.nanoTime() < until) {
            Thread.onSpinWait();
          }
          served.service.land(0, page, content, served.landed);
        }
        assertThat(wrong.get(60, TimeUnit.SECONDS)).isEqualTo("0");
        // Otherwise nothing was forced.
        assertThat(served.service.statistics().removedPages()).isPositive();
      }
    }
  }

  @Test
  void landingWaitsWhileARemovalIsQueuedAndNobodyReads() throws Exception {
    try (FaultingProcess guest = FaultingProcess.start("anonymous:" + BYTES)) {
      MissingPages missing = MissingPages.create(folder.resolve("missing"), List.of((long) PAGES));
      missing.add(0, 0, PAGES);
      GuestHandover handover = guest.handOver(folder);
      CompletableFuture<String> removal = guest.tell("forget 0 4 1");
      await().atMost(LIMIT).until(() -> handover.userfaultfd().poll(0));
      ByteBuffer content = pages(0, 4, 1);
      long address = handover.regions().getFirst().baseHostVirtAddr();
      assertThat(
              handover.userfaultfd().copy(address, MemorySegment.ofBuffer(content).address(), PAGE))
          .isEqualTo(-Errno.EAGAIN);
      assertThat(handover.userfaultfd().zeroPage(address, PAGE)).isEqualTo(-Errno.EAGAIN);
      Requests requests = new Requests();
      try (FaultService service =
          FaultService.start(handover, List.of(new GuestRegion("ram", BYTES)), missing, requests)) {
        service.land(0, 3, pages(0, 3, 3), (region, first, count) -> {});
        assertThat(removal.get(60, TimeUnit.SECONDS)).isEqualTo("done");
        assertThat(guest.read(0, 3)).isEqualTo(FaultingProcess.content(0, 3));
        assertThat(guest.read(0, 5)).isEqualTo(FaultingProcess.content(0, 5));
      }
    }
  }

  @Test
  void theGuestsEndIsNoticedAndSaid() throws Exception {
    try (Served served = new Served(Memory.FILE)) {
      CompletableFuture<String> waiting = served.guest.tell("read 0 1");
      assertThat(served.requests.next()).containsExactly(1L);
      served.guest.kill();
      served.requests.gone.get(60, TimeUnit.SECONDS);
      assertThat(served.service.guestGone()).isTrue();
      assertThatThrownBy(() -> served.land(0, 0, 8)).isInstanceOf(GuestGoneException.class);
      assertThat(waiting).isNotDone();
      served.service.finish();
    }
  }

  @ParameterizedTest
  @EnumSource
  void anotherServiceGoesOnWhereOneEnded(Memory memory) throws Exception {
    try (Served served = new Served(memory)) {
      served.land(0, 0, 40);
      assertThat(served.guest.ask("write 0 1 5")).isEqualTo("done");
      CompletableFuture<String> waiting = served.guest.tell("read 0 50");
      assertThat(served.requests.next()).containsExactly(50L);
      served.service.close();
      CompletableFuture<String> later = served.guest.tell("read 1 60");

      List<Long> sizes = List.of((long) PAGES, (long) PAGES);
      MissingPages reopened = MissingPages.reopen(folder.resolve("missing"), sizes);
      assertThat(reopened.count()).isEqualTo(2 * PAGES - 40);
      // As if the first had been killed before it noted the last pages.
      reopened.add(0, 30, 10);
      GuestHandover again = served.guest.handOver(folder);
      if (served.image == null) {
        reopened.removePresent(again, served.regions);
      } else {
        reopened.removePresent(served.image);
      }
      assertThat(reopened.count()).isEqualTo(2 * PAGES - 40);
      assertThat(waiting).isNotDone();
      assertThat(later).isNotDone();
      Requests requests = new Requests();
      served.service = served.serve(again, reopened, requests);
      List<Long> asked = new ArrayList<>(requests.next());
      while (asked.size() < 2) {
        asked.addAll(requests.next());
      }
      assertThat(asked).containsExactlyInAnyOrder(50L, 1L << 32 | 60);
      served.service.repeatRequests();
      List<Long> repeated = new ArrayList<>(requests.next());
      while (repeated.size() < 2) {
        repeated.addAll(requests.next());
      }
      assertThat(repeated).containsExactlyInAnyOrder(50L, 1L << 32 | 60);
      served.land(0, 0, PAGES);
      served.land(1, 0, PAGES);
      assertThat(waiting.get(60, TimeUnit.SECONDS)).isEqualTo("" + FaultingProcess.content(0, 50));
      assertThat(later.get(60, TimeUnit.SECONDS)).isEqualTo("" + FaultingProcess.content(1, 60));
      assertThat(served.guest.read(0, 1)).isEqualTo(5);
      served.service.finish();
      assertThat(requests.failure).isNotDone();
    }
  }

  @Test
  void memoryThatIsHandedOverOnlyOnceIsTakenAgainFromTheGuestItself() throws Exception {
    try (Served served = new Served(Memory.ANONYMOUS)) {
      GuestHandover first = served.handover;
      HandoverMessage kept = HandoverMessage.decode(first.message().encode());
      CompletableFuture<String> waiting = served.guest.tell("read 0 50");
      assertThat(served.requests.next()).containsExactly(50L);
      served.service.close();
      GuestHandover again = GuestHandover.retake(first.pid(), kept);
      served.service = served.serve(again, served.missing, served.requests);
      assertThat(served.requests.next()).containsExactly(50L);
      served.land(0, 50, 1);
      assertThat(waiting.get(60, TimeUnit.SECONDS)).isEqualTo("" + FaultingProcess.content(0, 50));
      served.guest.kill();
      served.requests.gone.get(60, TimeUnit.SECONDS);
      assertThatThrownBy(() -> GuestHandover.retake(first.pid(), kept))
          .isInstanceOf(HandoverException.class);
    }
  }

  @Test
  void finishingEarlyIsRefusedAndTooLateLandingFails() throws Exception {
    try (Served served = new Served(Memory.ANONYMOUS)) {
      assertThatThrownBy(served.service::finish).isInstanceOf(IllegalStateException.class);
      served.service.close();
      assertThatThrownBy(() -> served.land(0, 0, 1)).isInstanceOf(IOException.class);
      assertThatThrownBy(() -> served.service.land(0, PAGES - 1, pages(0, 0, 2), served.landed))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @Test
  void memoryThatIsNotTheImagesIsRefused() throws Exception {
    Path other = Images.sparse(folder.resolve("other"), BYTES);
    Path image = Images.sparse(folder.resolve("image"), BYTES);
    try (FaultingProcess guest = FaultingProcess.start("file:" + other);
        GuestImage opened = GuestImage.openExisting(Images.describe(folder, List.of(image), 0));
        GuestHandover handover = guest.handOver(folder)) {
      MissingPages missing = MissingPages.create(folder.resolve("missing"), List.of((long) PAGES));
      assertThatThrownBy(() -> FaultService.start(handover, opened, missing, new Requests()))
          .hasMessageContaining("something other than " + image);
    }
  }

  @Test
  void aHugePageLandsWholeAndIsAskedForWhole() throws Exception {
    int pages = 3 * GRANULE;
    try (HugePages reserved = new HugePages(3);
        FaultingProcess guest = FaultingProcess.start("huge:" + (long) pages * PAGE)) {
      assertThat(reserved).isNotNull();
      MissingPages missing = MissingPages.create(folder.resolve("missing"), List.of((long) pages));
      missing.add(0, 0, pages);
      Requests requests = new Requests();
      List<GuestRegion> regions = List.of(new GuestRegion("huge", (long) pages * PAGE));
      PageRunConsumer ignored = (region, first, count) -> {};
      try (FaultService service =
          FaultService.start(guest.handOver(folder), regions, missing, requests)) {
        service.land(0, 40, pages(0, 40, 2), ignored);
        CompletableFuture<String> waiting = guest.tell("read 0 7");
        List<Long> asked = requests.next();
        // All of it but what has come already.
        assertThat(asked).hasSize(GRANULE - 2).contains(7L, 511L).doesNotContain(40L, 41L, 512L);
        service.land(0, 0, pages(0, 0, 40), ignored);
        service.land(0, 300, pages(0, 300, 212 + 10), ignored);
        assertThat(waiting).isNotDone();
        assertThat(missing.count()).isEqualTo(pages);
        service.landZero(0, 42, 258, ignored);
        assertThat(waiting.get(60, TimeUnit.SECONDS)).isEqualTo("" + FaultingProcess.content(0, 7));
        assertThat(guest.read(0, 41)).isEqualTo(FaultingProcess.content(0, 41));
        assertThat(guest.read(0, 42)).isZero();
        assertThat(guest.read(0, 511)).isEqualTo(FaultingProcess.content(0, 511));
        assertThat(missing.count()).isEqualTo(pages - GRANULE);
        // The guest gives the second back, of which ten pages have come.
        assertThat(guest.ask("forget 0 " + GRANULE + " " + GRANULE)).isEqualTo("done");
        service.land(0, GRANULE, pages(0, GRANULE, GRANULE), ignored);
        assertThat(guest.read(0, GRANULE + 3)).isZero();
        service.land(0, 2 * GRANULE, pages(0, 2 * GRANULE, GRANULE), ignored);
        assertThat(guest.read(0, pages - 1)).isEqualTo(FaultingProcess.content(0, pages - 1));
        service.complete().get(60, TimeUnit.SECONDS);
        service.finish();
      }
      assertThat(requests.failure).isNotDone();
    }
  }

  /** Huge pages of this host, for the time of a test. */
  private static final class HugePages implements AutoCloseable {
    private static final Path COUNT =
        Path.of("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    private static final Path FREE =
        Path.of("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");

    private final HugePagePool pool;
    private final long before;

    HugePages(long wanted) throws IOException {
      assumeTrue(Files.isWritable(COUNT), "huge pages cannot be reserved here");
      pool = HugePagePool.take();
      before = number(COUNT);
      try {
        Files.writeString(COUNT, Long.toString(before + wanted));
      } catch (IOException e) {
        pool.close();
        assumeTrue(false, "huge pages cannot be reserved here: " + e.getMessage());
      }
      if (number(FREE) < wanted) {
        close();
        assumeTrue(false, "this host has no room for huge pages");
      }
    }

    private static long number(Path file) throws IOException {
      return Long.parseLong(Files.readString(file).trim());
    }

    @Override
    public void close() throws IOException {
      try (pool) {
        Files.writeString(COUNT, Long.toString(before));
      }
    }
  }
}
