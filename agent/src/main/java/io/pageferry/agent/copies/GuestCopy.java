package io.pageferry.agent.copies;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import io.pageferry.guest.units.ByteSize;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.UUID;

/**
 * A memory image that is kept although its guest is not here: where it is, and what it was.
 *
 * @param migration by which the guest left, or which was to bring it
 * @param guest its name
 * @param peer the agent on the other side, by its certificate's name: no other one is told what is
 *     in the copy
 * @param madeMillis when, since 1970
 * @param untilMillis when it is to go, since 1970
 * @param allocatedBytes what its files took when it was made, holes not counted
 * @param leaving whether the guest's process may still live: the copy is of no use to anybody yet
 * @param files one for each region, in order
 */
@JsonIgnoreProperties(ignoreUnknown = true)
public record GuestCopy(
    UUID migration,
    String guest,
    String peer,
    long madeMillis,
    long untilMillis,
    long allocatedBytes,
    boolean leaving,
    List<CopyFile> files) {

  public GuestCopy {
    files = List.copyOf(files);
  }

  /**
   * One region.
   *
   * @param region its name
   * @param image where the image was, and is to be again
   * @param copy where it is now, in the same folder
   * @param bytes its size, holes included
   * @param device of its file system
   * @param inode its number there
   * @param modifiedMicros when its content was changed last, since 1970
   */
  @JsonIgnoreProperties(ignoreUnknown = true)
  public record CopyFile(
      String region,
      String image,
      String copy,
      long bytes,
      long device,
      long inode,
      long modifiedMicros) {

    CopyFile modified(long micros) {
      return new CopyFile(region, image, copy, bytes, device, inode, micros);
    }
  }

  /**
   * A region that a guest is to have here.
   *
   * @param name its name
   * @param image where its file is to be
   * @param bytes its size
   */
  public record Place(String name, String image, long bytes) {}

  /** What the guest's memory amounts to. */
  @JsonIgnore
  public long memoryBytes() {
    return files.stream().mapToLong(CopyFile::bytes).sum();
  }

  /** When it is to go. */
  @JsonIgnore
  public Instant until() {
    return Instant.ofEpochMilli(untilMillis);
  }

  /** What people are told of it. */
  @JsonIgnore
  public String sentence() {
    return "copy of guest '%s' (%s, %s kept) shared with '%s', until %s"
        .formatted(
            guest,
            ByteSize.format(memoryBytes()),
            ByteSize.format(allocatedBytes),
            peer,
            until().truncatedTo(ChronoUnit.SECONDS));
  }

  /** The same when the guest's process is gone, with its files as they are now. */
  GuestCopy left(List<CopyFile> now) {
    return new GuestCopy(
        migration, guest, peer, madeMillis, untilMillis, allocatedBytes, false, now);
  }

  /** Whether it is the memory of a guest with these regions at these places. */
  boolean fits(List<Place> places) {
    return places.equals(
        files.stream().map(file -> new Place(file.region(), file.image(), file.bytes())).toList());
  }

  /** Whether it has a file that was at one of these places. */
  boolean wasAt(List<String> images) {
    return files.stream().anyMatch(file -> images.contains(file.image()));
  }
}
