package io.pageferry.guest.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The kernel's version. Distributions carry fixes and features into older ones, so it decides
 * nothing that can be probed instead.
 */
record KernelVersion(int major, int minor, String release) {
  private static final Pattern RELEASE =
      Pattern.compile("(\\d{1,4})\\.(\\d{1,4}).*", Pattern.DOTALL);

  static KernelVersion running() {
    try {
      return parse(Files.readString(Path.of("/proc/sys/kernel/osrelease")).strip());
    } catch (IOException e) {
      return new KernelVersion(0, 0, "unknown");
    }
  }

  static KernelVersion parse(String release) {
    Matcher matcher = RELEASE.matcher(release);
    if (!matcher.matches()) {
      return new KernelVersion(0, 0, release);
    }
    return new KernelVersion(
        Integer.parseInt(matcher.group(1)), Integer.parseInt(matcher.group(2)), release);
  }

  boolean atLeast(int otherMajor, int otherMinor) {
    return major > otherMajor || (major == otherMajor && minor >= otherMinor);
  }
}
