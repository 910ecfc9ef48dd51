package io.pageferry.integration.demo;

import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.report.ReportFile;
import io.pageferry.guest.units.BitRate;
import io.pageferry.guest.units.ByteSize;
import io.pageferry.guest.units.UnitFormatException;
import io.pageferry.integration.process.QemuGuestSpec;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What the demo's command line says. Fields are set by picocli. */
final class DemoOptions {
  private static final List<String> MODES =
      List.of("precopy", "postcopy", "hybrid", "stop-and-copy");

  private static final List<String> GUESTS = List.of("jvm", "qemu");

  private static final List<String> PUSHES = List.of("prepaging", "active", "none");

  @Option(
      names = "--mode",
      paramLabel = "MODE",
      description =
          "How to move: precopy, postcopy, hybrid or stop-and-copy (default: ${DEFAULT-VALUE}).")
  String mode = "precopy";

  @Option(
      names = "--guest",
      paramLabel = "KIND",
      description =
          "What to move: jvm, the demo guest, or qemu, Linux in an unmodified QEMU (default:"
              + " ${DEFAULT-VALUE}).")
  String guest = "jvm";

  @Option(
      names = "--network",
      description =
          "With --guest qemu: each host is a network namespace, and a TCP client outside of both"
              + " talks to the guest throughout. Needs root.")
  boolean network;

  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      description = "The guest's memory (default: 512M; for qemu 256M).")
  @Nullable String memory;

  @Option(
      names = "--dirty-rate",
      paramLabel = "RATE",
      description = "How much the guest writes in a second (default: ${DEFAULT-VALUE}).")
  String dirtyRate = "20MB/s";

  @Option(
      names = "--pattern",
      paramLabel = "PATTERN",
      description =
          "What the demo guest writes: uniform, hot-spot, sequential, mostly-zero, text or random"
              + " (default: uniform).")
  @Nullable String pattern;

  @Option(
      names = "--write-bytes",
      paramLabel = "SIZE",
      description =
          "How much of a page the demo guest changes when it writes to it (default: 256; 4K is all of"
              + " it).")
  @Nullable String writeBytes;

  @Option(names = "--channels", paramLabel = "N", description = "Data channels, 1 to 16.")
  @Nullable Integer channels;

  @Option(names = "--bandwidth", paramLabel = "RATE", description = "Cap, for example 1Gbit.")
  @Nullable String bandwidth;

  @Option(
      names = "--tls-engine",
      paramLabel = "ENGINE",
      description = "auto, boringssl, bouncycastle or jdk.")
  @Nullable String tlsEngine;

  @Option(names = "--plaintext", description = "Plain TCP instead of TLS.")
  boolean plaintext;

  @Option(
      names = "--on-stall",
      paramLabel = "ACTION",
      description =
          "When the guest dirties faster than the link carries: postcopy, pause or cancel.")
  @Nullable String onStall;

  @Option(
      names = "--push",
      paramLabel = "WHAT",
      description = "What post-copy sends besides what is asked for: prepaging, active or none.")
  @Nullable String push;

  @Option(
      names = "--verify",
      paramLabel = "KIND",
      description = "running or full (rereads both images during the pause).")
  @Nullable String verify;

  @Option(names = "--keep", description = "Leave the folders (certificates, descriptions, logs).")
  boolean keep;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the report to a file.")
  @Nullable Path json;

  @Mixin LoggingOptions logging = new LoggingOptions();

  /**
   * Whether this can be done.
   *
   * @return what cannot, as one sentence, or null
   */
  @Nullable String complaint() {
    if (!MODES.contains(mode)) {
      return "there is no mode %s; it is one of %s".formatted(mode, String.join(", ", MODES));
    }
    if (push != null && !PUSHES.contains(push)) {
      return "there is no push %s; it is one of %s".formatted(push, String.join(", ", PUSHES));
    }
    if (!GUESTS.contains(guest)) {
      return "there is no guest %s; it is one of %s".formatted(guest, String.join(", ", GUESTS));
    }
    if (isQemu() && (pattern != null || writeBytes != null)) {
      return (pattern != null ? "--pattern" : "--write-bytes")
          + " is for the demo guest; what the guest in QEMU writes is half text, half noise";
    }
    if (network && !isQemu()) {
      return "--network is for --guest qemu; the demo guest has no network card";
    }
    try {
      long least = isQemu() ? (long) QemuGuestSpec.LEAST_MIB << 20 : 1L << 20;
      if (ByteSize.parse(memory()) < least) {
        return "--memory %s is too small for that guest; use %dM or more"
            .formatted(memory(), least >> 20);
      }
      BitRate.parse(dirtyRate);
      if (ByteSize.parse(writeBytes()) < 1) {
        return "--write-bytes takes 1 or more";
      }
      if (bandwidth != null && BitRate.parse(bandwidth) == 0) {
        return "--bandwidth takes a rate above 0";
      }
    } catch (UnitFormatException notAUnit) {
      return notAUnit.getMessage();
    }
    if (channels != null && (channels < 1 || channels > 16)) {
      return "--channels " + channels + " is not between 1 and 16";
    }
    if (json != null && !ReportFile.mayBe(json)) {
      return "--json names a file in a folder that is not there, or a folder: " + json;
    }
    return null;
  }

  private boolean isQemu() {
    return guest.equals("qemu");
  }

  private String writeBytes() {
    return writeBytes != null ? writeBytes : "256";
  }

  private String memory() {
    return memory != null ? memory : isQemu() ? "256M" : "512M";
  }

  /** The guest that is to be moved; after {@link #complaint} had none. */
  Traveller traveller() {
    if (!isQemu()) {
      return new DemoTraveller(
          memory(), pattern == null ? "uniform" : pattern, dirtyRate, writeBytes());
    }
    try {
      return new QemuTraveller(
          Math.toIntExact(ByteSize.parse(memory()) >> 20), BitRate.parse(dirtyRate), network);
    } catch (UnitFormatException complainedOf) {
      throw new IllegalStateException(complainedOf);
    }
  }

  /** What of it the source agent is told. */
  List<String> sourceArguments() {
    List<String> arguments = new ArrayList<>(List.of("--mode", mode));
    add(arguments, "--channels", channels);
    add(arguments, "--bandwidth", bandwidth);
    add(arguments, "--on-stall", onStall);
    add(arguments, "--push", push);
    add(arguments, "--verify", verify);
    if (logging.quiet()) {
      arguments.add("--quiet");
    }
    if (logging.verbose()) {
      arguments.add("--verbose");
    }
    return arguments;
  }

  private static void add(List<String> arguments, String option, @Nullable Object value) {
    if (value != null) {
      arguments.add(option);
      arguments.add(value.toString());
    }
  }
}
