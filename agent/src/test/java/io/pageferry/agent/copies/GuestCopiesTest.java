package io.pageferry.agent.copies;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.agent.copies.GuestCopy.Place;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.GuestImage;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GuestCopiesTest {
  private static final long BYTES = 64 * 4096;
  private static final long QUOTA = 3 * BYTES;

  @TempDir Path folder;
  private final SetClock clock = new SetClock();
  private Path state;
  private GuestCopies copies;

  /** Goes on when it is told to. */
  private static final class SetClock extends Clock {
    private Instant now = Instant.now();

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      return this;
    }

    @Override
    public Instant instant() {
      return now;
    }
  }

  @BeforeEach
  void setUp() {
    state = folder.resolve("state");
    copies = copies(new CopyLimits(Duration.ofHours(1), QUOTA));
  }

  private GuestCopies copies(CopyLimits limits) {
    return new GuestCopies(state, limits, clock);
  }

  private Path image(String guest) {
    return folder.resolve(guest + ".ram");
  }

  private GuestDescription description(String guest) throws Exception {
    Path file = folder.resolve(guest + ".yaml");
    Files.writeString(
        file,
        "name: %s\nmemory:\n  - name: ram\n    path: %s\ncontrol: { qmp: /run/none.qmp }\n"
            .formatted(guest, image(guest)));
    return GuestDescription.load(file);
  }

  private List<Place> places(String guest) {
    return List.of(new Place("ram", image(guest).toString(), BYTES));
  }

  private Optional<GuestCopy> keep(String guest, GuestCopies by) throws Exception {
    try (GuestImage image = GuestImage.create(description(guest), List.of(BYTES))) {
      image.reserve();
      ByteBuffer page = ByteBuffer.allocateDirect(4096);
      while (page.hasRemaining()) {
        page.put((byte) guest.charAt(0));
      }
      image.write(0, 3, page.flip());
      clock.now = clock.now.plusMillis(1);
      return by.keep(UUID.randomUUID(), guest, "beta", image);
    }
  }

  private List<String> files() throws Exception {
    try (Stream<Path> all = Files.list(folder)) {
      return all.map(path -> path.getFileName().toString()).filter(n -> n.contains("ram")).toList();
    }
  }

  private List<Path> records() throws Exception {
    try (Stream<Path> all = Files.list(state.resolve("copies"))) {
      return all.filter(path -> !path.endsWith("lock")).toList();
    }
  }

  @Test
  void anImageIsKeptByAnotherNameAndGivenBack() throws Exception {
    GuestCopy copy = keep("web", copies).orElseThrow();
    assertThat(image("web")).doesNotExist();
    assertThat(Path.of(copy.files().getFirst().copy())).exists();
    assertThat(copies.list()).containsExactly(copy);
    assertThat(copy.sentence()).contains("'web'", "'beta'", "256 KiB");

    assertThat(copies.find("web", "beta", places("web"))).contains(copy);
    assertThat(copies.giveBack(copy)).isTrue();
    assertThat(GuestCopies.isOneOf(GuestCopies.identity(copy), image("web"))).isTrue();
    assertThat(files()).containsExactly("web.ram");
    assertThat(records()).isEmpty();
    byte[] content = Files.readAllBytes(image("web"));
    assertThat(content).hasSize((int) BYTES);
    assertThat(content[3 * 4096]).isEqualTo((byte) 'w');
    assertThat(copies.giveBack(copy)).as("it is none any more").isFalse();
  }

  private GuestCopy leave(String guest) throws Exception {
    try (GuestImage image = GuestImage.create(description(guest), List.of(BYTES))) {
      image.reserve();
      return copies.leave(UUID.randomUUID(), guest, "beta", image).orElseThrow();
    }
  }

  @Test
  void aGuestThatIsLeavingHasItsImageUntilItIsGone() throws Exception {
    GuestCopy leaving = leave("web");
    assertThat(image("web")).exists();
    assertThat(files()).hasSize(2);
    assertThat(copies.list()).as("its process may still write").isEmpty();
    assertThat(copies.find("web", "beta", places("web"))).isEmpty();

    GuestCopy left = copies.settle(leaving).orElseThrow();
    assertThat(image("web")).doesNotExist();
    assertThat(files()).hasSize(1);
    assertThat(copies.list()).containsExactly(left);
    assertThat(copies.giveBack(left)).isTrue();
    assertThat(image("web")).exists();
    assertThat(copies.settle(leaving)).as("it is a guest's memory again").isEmpty();
    assertThat(image("web")).exists();
  }

  @Test
  void anotherImageWithTheNameOfOneThatLeftStays() throws Exception {
    GuestCopy leaving = leave("web");
    Files.delete(image("web"));
    Files.writeString(image("web"), "another guest");
    assertThat(copies.settle(leaving)).isPresent();
    assertThat(image("web")).hasContent("another guest");
  }

  @Test
  void theImageOfAGuestThatDidNotEndStaysItsOwn() throws Exception {
    GuestCopy leaving = leave("web");
    copies.drop(UUID.randomUUID());
    assertThat(files()).hasSize(2);
    copies.drop(leaving.migration());
    assertThat(files()).containsExactly("web.ram");
    assertThat(records()).isEmpty();
    assertThat(copies.settle(leaving)).isEmpty();
    assertThat(image("web")).exists();
    GuestCopy second = keep("mail", copies).orElseThrow();
    copies.drop(second.migration());
    assertThat(copies.list()).as("it counts").containsExactly(second);
  }

  @Test
  void onlyTheGuestItWasIsGivenItsCopyAndOnlyFromWhereItWent() throws Exception {
    keep("web", copies);
    assertThat(copies.find("mail", "beta", places("web"))).isEmpty();
    assertThat(copies.find("web", "gamma", places("web"))).isEmpty();
    assertThat(copies.find("web", "beta", places("mail"))).isEmpty();
    Place other = new Place("ram", image("web").toString(), 2 * BYTES);
    assertThat(copies.find("web", "beta", List.of(other))).isEmpty();
    assertThat(copies.find("web", "beta", List.of())).isEmpty();
  }

  @Test
  void aCopyThatWasChangedIsNoneAndIsRemoved() throws Exception {
    GuestCopy copy = keep("web", copies).orElseThrow();
    Path file = Path.of(copy.files().getFirst().copy());
    Files.setLastModifiedTime(file, FileTime.from(Instant.now().plusSeconds(7)));
    assertThat(copies.list()).isEmpty();
    assertThat(copies.giveBack(copy)).isFalse();
    assertThat(copies.removeOver()).containsExactly(copy);
    assertThat(files()).isEmpty();
    assertThat(records()).isEmpty();
  }

  @Test
  void aCopyWhoseFileSystemHasAnotherNumberGoesWithItsFile() throws Exception {
    GuestCopy copy = keep("web", copies).orElseThrow();
    Path record = records().getFirst();
    String device = "\"device\":" + copy.files().getFirst().device();
    String written = Files.readString(record);
    assertThat(written).contains(device);
    Files.writeString(record, written.replace(device, "\"device\":1"));
    assertThat(copies.list()).isEmpty();
    assertThat(copies.removeOver()).hasSize(1);
    assertThat(files()).isEmpty();
  }

  @Test
  void anotherFileInItsPlaceIsLeftAlone() throws Exception {
    GuestCopy copy = keep("web", copies).orElseThrow();
    Path file = Path.of(copy.files().getFirst().copy());
    Path aside = Files.move(file, folder.resolve("aside"));
    Files.write(file, new byte[(int) BYTES]);
    assertThat(copies.find("web", "beta", places("web"))).isEmpty();
    assertThat(copies.removeOver()).hasSize(1);
    assertThat(file).exists();
    assertThat(aside).exists();
    assertThat(records()).isEmpty();
  }

  @Test
  void aFileThatIsThereIsNotReplaced() throws Exception {
    GuestCopy copy = keep("web", copies).orElseThrow();
    Files.writeString(image("web"), "another guest");
    assertThat(copies.giveBack(copy)).isFalse();
    assertThat(image("web")).hasContent("another guest");
    assertThat(files()).containsExactly("web.ram");
    assertThat(records()).isEmpty();
  }

  @Test
  void aCopyGoesWhenItsTimeIsOver() throws Exception {
    GuestCopy copy = keep("web", copies).orElseThrow();
    clock.now = clock.now.plus(Duration.ofMinutes(59));
    assertThat(copies.removeOver()).isEmpty();
    clock.now = clock.now.plus(Duration.ofMinutes(1));
    assertThat(copies.list()).isEmpty();
    assertThat(copies.find("web", "beta", places("web"))).isEmpty();
    assertThat(copies.removeOver()).containsExactly(copy);
    assertThat(files()).isEmpty();
  }

  @Test
  void theOldestGoFirstWhenTheQuotaIsReached() throws Exception {
    for (String guest : List.of("a", "b", "c", "d")) {
      assertThat(keep(guest, copies)).isPresent();
    }
    assertThat(copies.list()).extracting(GuestCopy::guest).containsExactly("b", "c", "d");
    assertThat(copies.removeOldest()).isTrue();
    assertThat(copies.list()).extracting(GuestCopy::guest).containsExactly("c", "d");
    copies.forget(List.of(image("d").toString()));
    assertThat(copies.list()).extracting(GuestCopy::guest).containsExactly("c");
    assertThat(copies.removeOldest()).isTrue();
    assertThat(copies.removeOldest()).isFalse();
    assertThat(files()).isEmpty();
  }

  @Test
  void aGuestHasOneCopy() throws Exception {
    keep("web", copies);
    GuestCopy second = keep("web", copies).orElseThrow();
    assertThat(copies.list()).containsExactly(second);
    assertThat(files()).hasSize(1);
  }

  @Test
  void nothingIsKeptWithoutAQuotaOrBeyondIt() throws Exception {
    assertThat(keep("web", copies(CopyLimits.NONE))).isEmpty();
    assertThat(state).doesNotExist();
    assertThat(keep("mail", copies(new CopyLimits(Duration.ofHours(1), BYTES - 1)))).isEmpty();
    assertThat(files()).containsExactlyInAnyOrder("web.ram", "mail.ram");
  }

  /** Killed between writing the record and renaming, or between removing files and record. */
  @Test
  void whatKilledAgentsLeaveIsFound() throws Exception {
    GuestCopy copy = keep("web", copies).orElseThrow();
    Files.move(Path.of(copy.files().getFirst().copy()), image("web"));
    Files.writeString(state.resolve("copies").resolve(UUID.randomUUID() + ".tmp"), "{");
    assertThat(copies.list()).isEmpty();
    assertThat(copies.removeOver()).containsExactly(copy);
    assertThat(image("web")).as("it was never a copy").exists();
    assertThat(records()).isEmpty();
  }
}
