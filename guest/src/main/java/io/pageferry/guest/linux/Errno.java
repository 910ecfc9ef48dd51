package io.pageferry.guest.linux;

import org.jspecify.annotations.Nullable;

/** Error numbers of Linux that somebody here distinguishes, and their names. */
public final class Errno {
  public static final int EPERM = 1;
  public static final int ENOENT = 2;
  public static final int ESRCH = 3;
  public static final int EINTR = 4;
  public static final int ENXIO = 6;
  public static final int EBADF = 9;
  public static final int EAGAIN = 11;
  public static final int ENOMEM = 12;
  public static final int EACCES = 13;
  public static final int EBUSY = 16;
  public static final int EEXIST = 17;
  public static final int ENODEV = 19;
  public static final int ENOTDIR = 20;
  public static final int EISDIR = 21;
  public static final int EINVAL = 22;
  public static final int ENOTTY = 25;
  public static final int ETXTBSY = 26;
  public static final int EFBIG = 27;
  public static final int ENOSPC = 28;
  public static final int EROFS = 30;
  public static final int EPIPE = 32;
  public static final int ENAMETOOLONG = 36;
  public static final int ENOSYS = 38;
  public static final int ELOOP = 40;
  public static final int EOVERFLOW = 75;
  public static final int EOPNOTSUPP = 95;
  public static final int ECONNRESET = 104;
  public static final int ETIMEDOUT = 110;
  public static final int ECONNREFUSED = 111;
  public static final int EDQUOT = 122;

  private Errno() {}

  /** What the number says, as {@code strerror} would; names the number where it is a rare one. */
  public static String describe(int errno) {
    String words = words(errno);
    return words == null ? "error " + errno : words;
  }

  private static @Nullable String words(int errno) {
    return switch (errno) {
      case EPERM -> "operation not permitted";
      case ENOENT -> "no such file or directory";
      case ESRCH -> "no such process";
      case EINTR -> "interrupted";
      case ENXIO -> "no such device or address";
      case EBADF -> "bad file descriptor";
      case EAGAIN -> "temporarily unavailable";
      case ENOMEM -> "cannot allocate memory";
      case EACCES -> "permission denied";
      case EBUSY -> "busy";
      case EEXIST -> "exists already";
      case ENODEV -> "no such device";
      case ENOTDIR -> "not a directory";
      case EISDIR -> "is a directory";
      case EINVAL -> "invalid argument";
      case ENOTTY -> "not supported by this kernel";
      case ETXTBSY -> "is being executed";
      case EFBIG -> "file too large";
      case ENOSPC -> "no space left";
      case EROFS -> "read-only file system";
      case EPIPE -> "the other side has closed";
      case ENAMETOOLONG -> "name too long";
      case ENOSYS -> "this kernel does not have it";
      case ELOOP -> "too many symbolic links";
      case EOVERFLOW -> "value too large";
      case EOPNOTSUPP -> "not supported";
      case ECONNRESET -> "the other side has reset the connection";
      case ETIMEDOUT -> "timed out";
      case ECONNREFUSED -> "nobody listens there";
      case EDQUOT -> "quota exceeded";
      default -> null;
    };
  }
}
