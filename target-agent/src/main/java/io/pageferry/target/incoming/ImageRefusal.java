package io.pageferry.target.incoming;

import io.pageferry.guest.image.ImageException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;

/** Says why an image cannot be had, in the terms both agents know. */
final class ImageRefusal {
  private ImageRefusal() {}

  static MigrationAborted of(ImageException e) {
    AbortReason reason =
        switch (e.problem()) {
          case MISSING, NO_SUCH_DEVICE -> AbortReason.NO_SUCH_DEVICE;
          case NO_MEMORY, FILE_SYSTEM_FULL -> AbortReason.NO_MEMORY;
          case NOT_AN_IMAGE -> AbortReason.NOT_AN_IMAGE;
          case NO_PERMISSION -> AbortReason.NO_PERMISSION;
          case FILE_TOO_LARGE -> AbortReason.FILE_TOO_LARGE;
          case LOCKED -> AbortReason.LOCKED;
          case TOO_SMALL, NOT_PAGE_MULTIPLE -> AbortReason.LAYOUT_MISMATCH;
          case EXISTS -> AbortReason.IMAGE_EXISTS;
          case IO -> AbortReason.IO_ERROR;
        };
    return new MigrationAborted(reason, "on the target, " + e.getMessage(), e);
  }
}
