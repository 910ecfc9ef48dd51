package io.pageferry.guest.image;

import io.pageferry.guest.image.ImageException.Problem;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.LinuxException;
import java.io.IOException;
import java.nio.file.Path;

/** What an errno means for an image. */
final class ImageFailure {
  private ImageFailure() {}

  /**
   * The exception for a failed call.
   *
   * @param what what was tried, as "cannot open memory image"
   */
  static ImageException of(String what, Path path, IOException cause) {
    if (!(cause instanceof LinuxException failed)) {
      return new ImageException(Problem.IO, what + " " + path + ": " + cause.getMessage(), cause);
    }
    return new ImageException(
        problem(failed.errno()), what + " " + path + ": " + failed.reason(), cause);
  }

  private static Problem problem(int errno) {
    return switch (errno) {
      case Errno.ENOENT, Errno.ENOTDIR, Errno.ESRCH -> Problem.MISSING;
      case Errno.EACCES, Errno.EPERM, Errno.EROFS -> Problem.NO_PERMISSION;
      case Errno.ENODEV, Errno.ENXIO -> Problem.NO_SUCH_DEVICE;
      case Errno.EISDIR, Errno.ELOOP, Errno.ETXTBSY -> Problem.NOT_AN_IMAGE;
      case Errno.ENOMEM -> Problem.NO_MEMORY;
      case Errno.ENOSPC, Errno.EDQUOT -> Problem.FILE_SYSTEM_FULL;
      case Errno.EFBIG, Errno.EOVERFLOW -> Problem.FILE_TOO_LARGE;
      case Errno.EEXIST -> Problem.EXISTS;
      default -> Problem.IO;
    };
  }
}
