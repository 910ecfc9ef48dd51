package io.pageferry.protocol.message;

import com.github.luben.zstd.util.Native;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The library that packs and unpacks zstd. It exists for many machines, not for all. */
final class ZstdLibrary {
  private static final Logger LOG = LoggerFactory.getLogger(ZstdLibrary.class);

  private ZstdLibrary() {}

  /** Loads it, by the first call. */
  static boolean isThere() {
    try {
      Native.load();
      return true;
    } catch (LinkageError e) {
      LOG.debug("No zstd on this machine.", e);
      return false;
    }
  }
}
