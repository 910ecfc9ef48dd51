package io.pageferry.guest.image;

import java.io.IOException;

/**
 * A memory image that cannot be used or made. The message is one sentence that names the file and
 * can be put before a user; nothing has been changed when it is thrown.
 */
public final class ImageException extends IOException {
  private static final long serialVersionUID = 1L;

  /** What is wrong, as far as two causes ask for different remedies. */
  public enum Problem {
    /** There is no such file. */
    MISSING,
    /** The host has not the memory that a memory-backed file needs. */
    NO_MEMORY,
    /** The folder for the file, or the device behind it, does not exist. */
    NO_SUCH_DEVICE,
    /** It is there, but is not the memory image that the description speaks of. */
    NOT_AN_IMAGE,
    /** It may not be opened or made by this user, or on a read-only file system. */
    NO_PERMISSION,
    /** The file system does not support a file of this size. */
    FILE_TOO_LARGE,
    /** Another migration holds the image. */
    LOCKED,
    /** The file is smaller than described. */
    TOO_SMALL,
    /** The size is not a multiple of the page size. */
    NOT_PAGE_MULTIPLE,
    /** A file of this name is already there. */
    EXISTS,
    /** The file system has not the space. */
    FILE_SYSTEM_FULL,
    /** Anything else that the kernel reports. */
    IO
  }

  private final Problem problem;

  ImageException(Problem problem, String sentence) {
    super(sentence);
    this.problem = problem;
  }

  ImageException(Problem problem, String sentence, Throwable cause) {
    super(sentence, cause);
    this.problem = problem;
  }

  public Problem problem() {
    return problem;
  }
}
