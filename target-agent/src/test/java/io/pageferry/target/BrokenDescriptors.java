package io.pageferry.target;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.pageferry.guest.linux.Userfaultfd;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

/** Descriptors of this process that go wrong under their owners. */
final class BrokenDescriptors {
  private static final Path OPEN = Path.of("/proc/self/fd");

  private BrokenDescriptors() {}

  /** Whoever reads one of them is told from now on that it cannot be read. */
  @SuppressWarnings("restricted")
  static void breakUserfaultfds() throws Exception {
    Linker linker = Linker.nativeLinker();
    MethodHandle dup2 =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("dup2"),
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    List<Integer> numbers = Userfaultfd.heldBy((int) ProcessHandle.current().pid());
    if (numbers.isEmpty()) {
      throw new AssertionError("this process has no userfaultfd open");
    }
    Path file = Files.createTempFile("pf-broken-", "");
    try (FileChannel _ = FileChannel.open(file, StandardOpenOption.WRITE)) {
      int unreadable = numberOf(file);
      for (int number : numbers) {
        try {
          int made = (int) dup2.invokeExact(unreadable, number);
          if (made != number) {
            throw new AssertionError("dup2 failed");
          }
        } catch (Throwable failed) {
          throw new AssertionError(failed);
        }
      }
    } finally {
      Files.delete(file);
    }
  }

  private static int numberOf(Path file) throws Exception {
    try (DirectoryStream<Path> open = Files.newDirectoryStream(OPEN)) {
      for (Path one : open) {
        if (Files.isSymbolicLink(one) && Files.readSymbolicLink(one).equals(file)) {
          return Integer.parseInt(String.valueOf(one.getFileName()));
        }
      }
    }
    throw new AssertionError("not open: " + file);
  }
}
