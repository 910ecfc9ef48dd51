package io.pageferry.integration.demo;

import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.guest.units.BitRate;
import io.pageferry.guest.units.ByteSize;
import io.pageferry.guest.units.UnitFormatException;
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
      description = "What to move: jvm, the demo guest (default: ${DEFAULT-VALUE}).")
  String guest = "jvm";

  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      description = "The guest's memory (default: ${DEFAULT-VALUE}).")
  String memory = "512M";

  @Option(
      names = "--dirty-rate",
      paramLabel = "RATE",
      description = "How much the guest writes in a second (default: ${DEFAULT-VALUE}).")
  String dirtyRate = "20MB/s";

  @Option(
      names = "--pattern",
      paramLabel = "PATTERN",
      description =
          "What it writes: uniform, hot-spot, sequential, mostly-zero, text or random (default:"
              + " ${DEFAULT-VALUE}).")
  String pattern = "uniform";

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
    if (!guest.equals("jvm")) {
      return guest.equals("qemu")
          ? "this version's demo moves its own guest only, not QEMU; leave --guest out"
          : "there is no guest " + guest + "; leave --guest out for the demo guest";
    }
    try {
      if (ByteSize.parse(memory) < 1L << 20) {
        return "--memory " + memory + " is too small for the demo guest; use 1M or more";
      }
      BitRate.parse(dirtyRate);
      if (bandwidth != null) {
        BitRate.parse(bandwidth);
      }
    } catch (UnitFormatException notAUnit) {
      return notAUnit.getMessage();
    }
    if (channels != null && (channels < 1 || channels > 16)) {
      return "--channels " + channels + " is not between 1 and 16";
    }
    return null;
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
