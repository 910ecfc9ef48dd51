package io.pageferry.target.content;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.page.ContentHash;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Who finds what. Each guest has one page. */
class SharedContentsTest {
  @TempDir private Path folder;

  private List<ImageRegion> image(String guest, int content) throws IOException {
    byte[] page = new byte[4096];
    Arrays.fill(page, (byte) content);
    Path file = Files.write(folder.resolve(guest), page);
    return List.of(new ImageRegion(0, "ram", file, 4096, 4096));
  }

  private static byte find(GuestContents contents, int content) {
    ByteBuffer page = ByteBuffer.allocateDirect(4096);
    while (page.hasRemaining()) {
      page.put((byte) content);
    }
    ByteBuf digest = Unpooled.copiedBuffer(new ContentHash().of(page, 0));
    ByteBuf into = Unpooled.directBuffer(4096);
    ContentSearch search = contents.search();
    try {
      byte finding = search.find(0, 0, digest, 0, into);
      if (finding == Found.HELD) {
        assertThat(into.getByte(0)).isEqualTo((byte) content);
        assertThat(into.getByte(4095)).isEqualTo((byte) content);
      }
      return finding;
    } finally {
      search.release();
      into.release();
    }
  }

  @Test
  void aSenderFindsItsOwnGuestsOnly() throws IOException {
    try (SharedContents shared = new SharedContents(Sharing.SENDER, List.of())) {
      GuestContents first = shared.arriving("one", image("first", 'a'));
      assertThat(find(first, 'a')).as("nobody has said so yet").isEqualTo(Found.WANTED);
      assertThat(find(first, 'a')).isEqualTo(Found.HELD);
      GuestContents another = shared.arriving("two", image("another", 'x'));
      assertThat(find(another, 'a')).isEqualTo(Found.WANTED);
      GuestContents second = shared.arriving("one", image("second", 'y'));
      assertThat(find(second, 'a')).isEqualTo(Found.HELD);
    }
  }

  @Test
  void everybodyFindsEverythingIfTheOperatorWantsThat() throws IOException {
    try (SharedContents shared = new SharedContents(Sharing.ALL, List.of())) {
      find(shared.arriving("one", image("first", 'a')), 'a');
      assertThat(find(shared.arriving("two", image("second", 'x')), 'a')).isEqualTo(Found.HELD);
    }
  }

  @Test
  void whatLandedUnaskedIsFoundWhenItIsRemembered() throws IOException {
    try (SharedContents shared = new SharedContents(Sharing.SENDER, List.of())) {
      byte[] pages = new byte[3 * 4096];
      Arrays.fill(pages, 4096, 2 * 4096, (byte) 'a');
      Arrays.fill(pages, 2 * 4096, 3 * 4096, (byte) 'b');
      Path file = Files.write(folder.resolve("first"), pages);
      GuestContents first =
          shared.arriving("one", List.of(new ImageRegion(0, "ram", file, pages.length, 4096)));
      // As it comes, behind the header of its run: the image's pages from the second on.
      ByteBuf landed = Unpooled.directBuffer().writeZero(16).writeBytes(pages, 4096, 2 * 4096);
      first.search().remember(0, 1, landed.skipBytes(16));
      assertThat(landed.readableBytes()).isEqualTo(2 * 4096);
      landed.release();
      GuestContents second = shared.arriving("one", image("second", 'y'));
      assertThat(find(second, 'a')).isEqualTo(Found.HELD);
      assertThat(find(second, 'b')).isEqualTo(Found.HELD);
      assertThat(find(shared.arriving("two", image("other", 'z')), 'a')).isEqualTo(Found.WANTED);
    }
  }

  @Test
  void nobodyFindsAnythingOfOthersWithoutSharing() throws IOException {
    try (SharedContents shared = new SharedContents(Sharing.NONE, List.of())) {
      find(shared.arriving("one", image("first", 'a')), 'a');
      assertThat(find(shared.arriving("one", image("second", 'x')), 'a')).isEqualTo(Found.WANTED);
    }
  }

  @Test
  void aGuestThatDidNotComeOrGaveItsPlaceToAnotherIsNotFound() throws IOException {
    try (SharedContents shared = new SharedContents(Sharing.SENDER, List.of())) {
      GuestContents failed = shared.arriving("one", image("failed", 'a'));
      find(failed, 'a');
      failed.gone();
      GuestContents left = shared.arriving("one", image("place", 'b'));
      find(left, 'b');
      left.arrived();
      // The same file by now, with what the other sender's guest brings.
      GuestContents next = shared.arriving("two", image("place", 'b'));
      assertThat(find(next, 'c')).isEqualTo(Found.WANTED);
      GuestContents last = shared.arriving("one", image("last", 'x'));
      assertThat(find(last, 'a')).isEqualTo(Found.WANTED);
      assertThat(find(last, 'b')).isEqualTo(Found.WANTED);
    }
  }
}
