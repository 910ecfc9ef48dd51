package io.pageferry.guest.dirty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.pageferry.guest.handover.ForeignMemoryException;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.Images;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Both trackers on a real process that writes, on each kind of memory that needs no privilege. */
class TrackerTest {
  private static final long BYTES = 8 << 20;
  private static final Duration LIMIT = Duration.ofSeconds(60);

  @TempDir private Path disk;
  private Path tmpfs = Path.of("");

  /** What the guest's memory is made of. */
  enum Memory {
    TMPFS,
    TWO_REGIONS,
    MEMFD,
    DISK
  }

  /** How it is followed. */
  enum Kind {
    WRITE_PROTECT,
    DIGEST
  }

  @BeforeEach
  void folder() throws IOException {
    tmpfs = Images.tmpfsFolder();
  }

  @AfterEach
  void removeFolder() throws IOException {
    Images.deleteFolder(tmpfs);
  }

  /** A guest, its image, and a tracker on it. */
  private final class Followed implements AutoCloseable {
    final WriterProcess guest;
    final GuestImage image;
    final SentPages sent;
    final DirtyTracker tracker;

    Followed(Memory memory, Kind kind) throws IOException {
      List<Path> files =
          switch (memory) {
            case TMPFS -> List.of(Images.sparse(tmpfs.resolve("ram"), BYTES));
            case TWO_REGIONS ->
                List.of(
                    Images.sparse(tmpfs.resolve("ram0"), BYTES),
                    Images.sparse(tmpfs.resolve("ram1"), BYTES / 2));
            case DISK -> List.of(Images.sparse(disk.resolve("ram"), BYTES));
            case MEMFD -> List.of();
          };
      guest =
          WriterProcess.start(
              memory == Memory.MEMFD
                  ? List.of("memfd:" + BYTES)
                  : files.stream().map(Path::toString).toList());
      List<Path> paths = memory == Memory.MEMFD ? List.of(guest.memfd()) : files;
      image = GuestImage.openExisting(Images.describe(disk, paths, 0));
      sent = new SentPages(image);
      tracker =
          kind == Kind.DIGEST
              ? new DigestTracker(image, sent)
              : new WriteProtectTracker(guest.handOver(tmpfs), image);
    }

    Set<String> collect() throws IOException {
      Set<String> pages = new TreeSet<>();
      List<String> twice = new ArrayList<>();
      long reported =
          tracker.collect(
              (region, first, count) -> {
                for (long page = first; page < first + count; page++) {
                  if (!pages.add(region + ":" + page)) {
                    twice.add(region + ":" + page);
                  }
                }
                sent.send(region, first, count);
              });
      assertThat(twice).isEmpty();
      assertThat(reported).isEqualTo(pages.size());
      return pages;
    }

    @Override
    public void close() {
      tracker.close();
      sent.close();
      image.close();
      guest.close();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "TMPFS,WRITE_PROTECT",
    "TMPFS,DIGEST",
    "TWO_REGIONS,WRITE_PROTECT",
    "TWO_REGIONS,DIGEST",
    "MEMFD,WRITE_PROTECT",
    "MEMFD,DIGEST",
    "DISK,WRITE_PROTECT",
    "DISK,DIGEST"
  })
  void findsExactlyThePagesThatWereWritten(Memory memory, Kind kind) throws Exception {
    try (Followed followed = new Followed(memory, kind)) {
      int last = memory == Memory.TWO_REGIONS ? 1 : 0;
      long lastPage = followed.image.regions().get(last).pages() - 1;
      for (int page : List.of(0, 5, 6, 7, 700)) {
        followed.guest.tell("write 0 " + page + " 1");
      }
      followed.tracker.arm();
      followed.sent.sendEverything();
      assertThat(followed.collect()).isEmpty();

      followed.guest.tell("write 0 6 2");
      followed.guest.tell("write 0 7 2");
      followed.guest.tell("write 0 100 2");
      followed.guest.tell("write " + last + " " + lastPage + " 2");
      assertThat(followed.guest.tell("read 0 700")).isEqualTo("1");
      assertThat(followed.tracker.estimate()).isEqualTo(kind == Kind.DIGEST ? -1 : 4);
      assertThat(followed.collect())
          .containsExactlyInAnyOrder("0:6", "0:7", "0:100", last + ":" + lastPage);
      assertThat(followed.collect()).isEmpty();
      assertThat(followed.sent.differences()).isEmpty();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "TMPFS,WRITE_PROTECT",
    "TMPFS,DIGEST",
    "TWO_REGIONS,WRITE_PROTECT",
    "MEMFD,WRITE_PROTECT",
    "DISK,WRITE_PROTECT",
    "DISK,DIGEST"
  })
  void missesNothingUnderAHammeringWriter(Memory memory, Kind kind) throws Exception {
    try (Followed followed = new Followed(memory, kind)) {
      followed.guest.tell("hammer 4711");
      followed.tracker.arm();
      followed.sent.sendEverything();
      // Until the writer has certainly been at it in many rounds, however busy the machine is.
      int busyRounds = 0;
      while (busyRounds < 60) {
        busyRounds += followed.collect().isEmpty() ? 0 : 1;
      }
      assertThat(Long.parseLong(followed.guest.tell("stop"))).isPositive();
      followed.collect();
      assertThat(followed.sent.differences()).isEmpty();
      assertThat(followed.collect()).isEmpty();
    }
  }

  @Test
  void reportsMoreThan4096ScatteredRunsOnceEach() throws Exception {
    Path file = Images.sparse(tmpfs.resolve("large"), 64L << 20);
    try (WriterProcess guest = WriterProcess.start(List.of(file.toString()));
        GuestImage image = GuestImage.openExisting(Images.describe(disk, List.of(file), 0));
        WriteProtectTracker tracker = new WriteProtectTracker(guest.handOver(tmpfs), image)) {
      tracker.arm();
      guest.tell("hammer 1");
      await().atMost(LIMIT).until(() -> tracker.estimate() > 12_000);
      guest.tell("stop");
      long estimate = tracker.estimate();
      Set<Long> pages = new TreeSet<>();
      long reported =
          tracker.collect(
              (region, first, count) -> {
                for (long page = first; page < first + count; page++) {
                  assertThat(pages.add(page)).isTrue();
                }
              });
      assertThat(reported).isEqualTo(estimate).isEqualTo(pages.size());
      assertThat(tracker.estimate()).isZero();
    }
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void findsAWriteToAPageThatThenLeftThePageTable(Kind kind) throws Exception {
    try (Followed followed = new Followed(Memory.TMPFS, kind)) {
      followed.guest.tell("write 0 1 1");
      followed.guest.tell("write 0 2 1");
      followed.tracker.arm();
      followed.sent.sendEverything();
      followed.guest.tell("write 0 1 2");
      followed.guest.tell("forget 0 0 2048");
      assertThat(followed.collect()).containsExactly("0:1");
      assertThat(followed.guest.tell("read 0 2")).isEqualTo("1");
      assertThat(followed.collect()).isEmpty();
    }
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void findsPunchedHolesAndKeepsThemHoles(Kind kind) throws Exception {
    try (Followed followed = new Followed(Memory.TMPFS, kind)) {
      for (int page = 10; page < 20; page++) {
        followed.guest.tell("write 0 " + page + " 1");
      }
      followed.tracker.arm();
      followed.sent.sendEverything();
      // 12 and 13 were sent with content; 30 was a hole and stays one.
      followed.guest.tell("punch 0 12 2");
      followed.guest.tell("punch 0 30 1");
      long taken = followed.image.allocatedBytes();
      assertThat(followed.collect()).containsExactly("0:12", "0:13");
      assertThat(followed.collect()).isEmpty();
      assertThat(followed.image.allocatedBytes()).isEqualTo(taken).isEqualTo(8 * 4096);

      followed.guest.tell("write 0 12 3");
      assertThat(followed.collect()).containsExactly("0:12");
      followed.guest.tell("punch 0 12 1");
      assertThat(followed.collect()).containsExactly("0:12");
      assertThat(followed.sent.differences()).isEmpty();
    }
  }

  @Test
  void digestsNoticeAPageThatWentBackToWhatItWasBeforeItWasSent() throws Exception {
    try (Followed followed = new Followed(Memory.TMPFS, Kind.DIGEST)) {
      followed.guest.tell("write 0 3 1");
      followed.tracker.arm();
      followed.guest.tell("write 0 3 2");
      followed.sent.sendEverything();
      followed.guest.tell("write 0 3 1");
      assertThat(followed.collect()).containsExactly("0:3");
    }
  }

  @Test
  void aConsumerThatFailsLosesNothingThatItWasNotTold() throws Exception {
    try (Followed followed = new Followed(Memory.TMPFS, Kind.WRITE_PROTECT)) {
      followed.tracker.arm();
      followed.guest.tell("write 0 1 1");
      followed.guest.tell("write 0 9 1");
      assertThatThrownBy(
              () ->
                  followed.tracker.collect(
                      (region, first, count) -> {
                        throw new IOException("full");
                      }))
          .hasMessage("full");
      assertThat(followed.collect()).containsExactly("0:9");
    }
  }

  @Test
  void aGuestThatEndedIsNoticedByEveryCall() throws Exception {
    try (Followed followed = new Followed(Memory.TMPFS, Kind.WRITE_PROTECT)) {
      followed.tracker.arm();
      followed.guest.kill();
      assertThatThrownBy(followed::collect).isInstanceOf(GuestGoneException.class);
      assertThatThrownBy(followed.tracker::estimate).isInstanceOf(GuestGoneException.class);
      assertThatThrownBy(followed.tracker::arm).isInstanceOf(GuestGoneException.class);
    }
  }

  @Test
  void aGuestThatIsKilledDuringTheScansIsNoticed() throws Exception {
    try (Followed followed = new Followed(Memory.TMPFS, Kind.WRITE_PROTECT)) {
      followed.guest.tell("hammer 5");
      followed.tracker.arm();
      Thread.ofPlatform().start(followed.guest::kill);
      assertThatThrownBy(
              () -> {
                while (true) {
                  followed.collect();
                }
              })
          .isInstanceOf(GuestGoneException.class);
    }
  }

  @Test
  void closingLetsTheGuestBeFollowedAgain() throws Exception {
    try (Followed followed = new Followed(Memory.TMPFS, Kind.WRITE_PROTECT)) {
      followed.tracker.arm();
      followed.tracker.close();
      followed.tracker.close();
      await()
          .atMost(LIMIT)
          .untilAsserted(
              () -> {
                try (GuestHandover again = followed.guest.handOver(tmpfs);
                    WriteProtectTracker second = new WriteProtectTracker(again, followed.image)) {
                  second.arm();
                  followed.guest.tell("write 0 77 1");
                  List<Long> pages = new ArrayList<>();
                  second.collect((region, first, count) -> pages.add(first));
                  assertThat(pages).containsExactly(77L);
                }
              });
    }
  }

  @Test
  void refusesAGuestThatHasMappedAnotherFile() throws Exception {
    Path mapped = Images.sparse(tmpfs.resolve("mapped"), BYTES);
    Path described = Images.sparse(tmpfs.resolve("described"), BYTES);
    try (WriterProcess guest = WriterProcess.start(List.of(mapped.toString()));
        GuestImage image = GuestImage.openExisting(Images.describe(disk, List.of(described), 0));
        GuestHandover handover = guest.handOver(tmpfs)) {
      assertThatThrownBy(() -> new WriteProtectTracker(handover, image))
          .isInstanceOf(ForeignMemoryException.class)
          .hasMessageContaining("something other than " + described);
    }
  }

  @Test
  void refusesAGuestThatHandsOverLessThanItsImage() throws Exception {
    Path first = Images.sparse(tmpfs.resolve("first"), BYTES);
    Path second = Images.sparse(tmpfs.resolve("second"), BYTES);
    try (WriterProcess guest = WriterProcess.start(List.of(first.toString()));
        GuestImage image =
            GuestImage.openExisting(Images.describe(disk, List.of(first, second), 0));
        GuestHandover handover = guest.handOver(tmpfs)) {
      assertThatThrownBy(() -> new WriteProtectTracker(handover, image))
          .hasMessageContaining("did not hand over all of region ram1");
    }
  }
}
