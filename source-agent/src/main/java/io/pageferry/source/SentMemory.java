package io.pageferry.source;

import io.pageferry.agent.cli.LogOutput;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageDigest;
import java.io.IOException;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * What was sent of a guest's memory, as its digest, over however many connections, and whether the
 * target turned out to have something else when the guest ran there already.
 *
 * <p>Threading: the driver thread; of the digest, as that says.
 */
final class SentMemory implements AutoCloseable {
  private static final Logger STORY = LogOutput.story("source");

  private final boolean verifyFull;
  private final MigrationJournal journal;

  /** Null before there is a connection: nothing can have been sent. */
  private @Nullable ImageDigest digest;

  private boolean differs;

  /**
   * @param verifyFull whether the image is reread for the comparison
   */
  SentMemory(boolean verifyFull, MigrationJournal journal) {
    this.verifyFull = verifyFull;
    this.journal = journal;
  }

  /** There is a connection; called once. */
  ImageDigest begin(GuestImage image) {
    ImageDigest begun = new ImageDigest(ImageReread.layout(image.regions()));
    digest = begun;
    return begun;
  }

  /** Of what was sent, once it has begun. */
  ImageDigest digest() {
    return Objects.requireNonNull(digest);
  }

  /**
   * Of an image that nothing changes any more and all of which was sent. A write that was missed is
   * no reason to break off: the guest runs there already, and no further attempt finds anything
   * else.
   */
  Digest whole(GuestImage image) throws IOException {
    Digest sent = digest().value();
    if (!verifyFull) {
      return sent;
    }
    Digest reread = ImageReread.digest(image);
    if (!reread.equals(sent)) {
      STORY.error("The guest's memory here is not what was sent: a write to it was missed.");
      differs = true;
    }
    return reread;
  }

  /** The target has everything, and has compared. */
  void settled(Settled said) {
    journal.settled(said);
    differs |= said.comparison() == Comparison.DIFFERENT;
    if (said.comparison() == Comparison.UNKNOWN) {
      STORY.info("The target has every page; it cannot say whether all of them are as sent.");
    }
  }

  /** Whether, after post-copy, the target has something else than what is here. */
  boolean differs() {
    return differs;
  }

  /** Gives the digest's memory back. */
  @Override
  public void close() {
    if (digest != null) {
      digest.close();
    }
  }
}
