package io.pageferry.guest.demo;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.guest.control.GuestTicks;
import io.pageferry.guest.control.QmpControl;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Damages the memory of a paused guest as a bad migration would, and asks whether it notices. */
@Timeout(120)
@SuppressWarnings("NullAway.Init") // each test makes its guest by start()
final class SelfCheckTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 2048;
  private static final int SET_PAGES = 256;

  private Path folder;
  private FileChannel image;
  private DemoProcess guest;
  private QmpControl control;

  @BeforeEach
  void makeFolder() throws Exception {
    folder = DemoProcess.memoryFolder();
  }

  @AfterEach
  void end() throws Exception {
    control.close();
    guest.close();
    image.close();
    DemoProcess.delete(folder);
  }

  private void start(String pattern) throws Exception {
    Path path = folder.resolve("ram");
    guest =
        DemoProcess.start(
            folder,
            "guest",
            "--image",
            path.toString(),
            "--memory",
            "8M",
            "--working-set",
            "1M",
            "--pattern",
            pattern,
            "--dirty-rate",
            "40MB/s");
    control = guest.control();
    image = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE);
    Awaitility.await()
        .atMost(DemoProcess.LIMIT)
        .until(() -> control.ticks().orElseThrow().operations() > 4000);
    control.pause();
    assertThat(check().faultsFound()).isZero();
  }

  private GuestTicks check() throws Exception {
    GuestTicks ticks = control.verify(DemoProcess.LIMIT).orElseThrow();
    assertThat(ticks.pagesVerified()).isEqualTo(PAGES);
    return ticks;
  }

  private ByteBuffer page(long number) throws IOException {
    ByteBuffer page = ByteBuffer.allocate(PAGE);
    image.read(page, number * PAGE);
    return page.flip();
  }

  private void put(long number, ByteBuffer page) throws IOException {
    image.write(page.duplicate(), number * PAGE);
  }

  private static boolean zero(ByteBuffer page) {
    return page.mismatch(ByteBuffer.allocate(PAGE)) < 0;
  }

  private long find(boolean zero, long from) throws IOException {
    for (long page = from; page < PAGES; page++) {
      if (zero(page(page)) == zero) {
        return page;
      }
    }
    throw new AssertionError("no such page");
  }

  /** The fault is found once however often the page is checked, and the guest ends with code 3. */
  private void expectFault(long faults, String... parts) throws Exception {
    GuestTicks ticks = check();
    assertThat(ticks.faultsFound()).isEqualTo(faults);
    assertThat(ticks.firstFault()).hasValueSatisfying(fault -> assertThat(fault).contains(parts));
    assertThat(check().faultsFound()).isEqualTo(faults);
    control.quit();
    assertThat(guest.exitCode()).isEqualTo(3);
    assertThat(guest.output()).contains(parts);
  }

  @Test
  void aFlippedBitOfAWrittenPage() throws Exception {
    start("uniform");
    ByteBuffer page = page(77);
    page.put(4000, (byte) (page.get(4000) ^ 1));
    put(77, page);
    expectFault(1, "page 77 must be of generation ", "its checksum does not match (torn)");
  }

  @Test
  void aFlippedBitOfAPageThatIsNeverWritten() throws Exception {
    start("random");
    ByteBuffer page = page(1500);
    page.put(PAGE - 1, (byte) (page.get(PAGE - 1) ^ 0x80));
    put(1500, page);
    expectFault(1, "page 1500 must be of generation 1", "(torn)");
  }

  @Test
  void anOlderCopyOfAPage() throws Exception {
    start("sequential");
    ByteBuffer old = page(100);
    control.resume();
    long before = control.ticks().orElseThrow().operations();
    Awaitility.await()
        .atMost(DemoProcess.LIMIT)
        .until(() -> control.ticks().orElseThrow().operations() > before + 2 * SET_PAGES);
    control.pause();
    put(100, old);
    expectFault(1, "page 100 must be of generation ", " is there (stale)");
  }

  @Test
  void halfOfAnOlderCopyOfAPage() throws Exception {
    start("sequential");
    ByteBuffer old = page(100);
    control.resume();
    long before = control.ticks().orElseThrow().operations();
    Awaitility.await()
        .atMost(DemoProcess.LIMIT)
        .until(() -> control.ticks().orElseThrow().operations() > before + 2 * SET_PAGES);
    control.pause();
    image.write(old.slice(PAGE / 2, PAGE / 2), 100L * PAGE + PAGE / 2);
    expectFault(1, "page 100 must be of generation ", "(torn)");
  }

  @Test
  void twoPagesInEachOthersPlace() throws Exception {
    start("text");
    ByteBuffer one = page(1000);
    ByteBuffer other = page(1001);
    put(1000, other);
    put(1001, one);
    expectFault(2, "page 1000 must be of generation 1", "page 1001 of generation 1 is there");
  }

  @Test
  void aPageThatWasLost() throws Exception {
    start("uniform");
    put(33, ByteBuffer.allocate(PAGE));
    expectFault(1, "page 33 must be of generation ", "it is zero (lost)");
  }

  @Test
  void contentOnAPageThatIsToBeZeroForEver() throws Exception {
    start("mostly-zero");
    long zero = find(true, SET_PAGES);
    long full = find(false, SET_PAGES);
    put(zero, page(full));
    expectFault(
        1, "page " + zero + " must be zero", "its header says page " + full + " of generation 1");
  }

  @Test
  void contentOnAWrittenPageThatIsToBeZero() throws Exception {
    start("mostly-zero");
    long zero = find(true, 0);
    assertThat(zero).isLessThan(SET_PAGES);
    ByteBuffer page = ByteBuffer.allocate(PAGE);
    page.put(PAGE - 1, (byte) 1);
    put(zero, page);
    expectFault(1, "page " + zero + " must be zero (generation ", "but its byte 4095 is not");
  }

  @Test
  void aRunningGuestFindsDamageByItself() throws Exception {
    start("uniform");
    long first = find(false, SET_PAGES);
    put(first, ByteBuffer.allocate(PAGE));
    control.resume();
    Awaitility.await()
        .atMost(DemoProcess.LIMIT)
        .until(() -> control.ticks().orElseThrow().faultsFound() == 1);
    control.quit();
    assertThat(guest.exitCode()).isEqualTo(3);
  }
}
