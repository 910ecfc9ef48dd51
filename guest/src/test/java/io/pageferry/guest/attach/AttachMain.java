package io.pageferry.guest.attach;

import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.Images;
import java.nio.file.Path;
import java.util.List;

/** Attaches to a process and says how that went: for an agent with other rights than the test's. */
final class AttachMain {
  private AttachMain() {}

  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[1]);
    Path file = Path.of(arguments[2]);
    try (GuestImage image = GuestImage.openExisting(Images.describe(folder, List.of(file), 0))) {
      Attached attached =
          Attach.to(Integer.parseInt(arguments[0]), image, HandoverMode.WRITE_PROTECT);
      attached.handover().unregister();
      attached.handover().close();
      System.out.println("attached");
    } catch (AttachException e) {
      System.out.println(e.problem() + ": " + e.getMessage());
    }
  }
}
