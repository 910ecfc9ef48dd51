package io.pageferry.source;

import io.pageferry.agent.cli.AddressConverter;
import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.CopyOptions;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.RateConverter;
import io.pageferry.agent.cli.SizeConverter;
import io.pageferry.agent.cli.StateOptions;
import io.pageferry.agent.cli.TimeSpanConverter;
import io.pageferry.agent.cli.TlsOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.agent.local.ControlSocket;
import io.pageferry.agent.report.MigrationReport;
import io.pageferry.agent.report.ReportFile;
import io.pageferry.agent.report.ReportSummary;
import io.pageferry.protocol.channel.PeerConnector;
import io.pageferry.protocol.channel.TransportSettings;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.source.MigrationSettings.OnStall;
import io.pageferry.source.MigrationSettings.Tracking;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code pageferry source migrate}. */
@Command(
    name = "migrate",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Moves a running guest to a target agent.")
final class MigrateCommand implements Callable<ExitCode> {
  private static final Logger STORY = LogOutput.story("source");

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--guest",
      required = true,
      paramLabel = "FILE",
      description = "The guest's description (YAML).")
  private Path guest = Path.of("");

  @Option(
      names = "--to",
      required = true,
      paramLabel = "HOST:PORT",
      converter = AddressConverter.class,
      description = "The target agent.")
  private InetSocketAddress target = InetSocketAddress.createUnresolved("", 0);

  @Option(
      names = "--target-name",
      paramLabel = "NAME",
      description =
          "The name that the target's certificate must have; without it any agent of our authority"
              + " that answers at --to gets the guest.")
  private @Nullable String targetName;

  @Option(
      names = "--mode",
      paramLabel = "MODE",
      defaultValue = "precopy",
      converter = ModeConverter.class,
      description = {
        "How the memory moves (default: ${DEFAULT-VALUE}).",
        "precopy: while the guest runs, until the rest fits a short pause;",
        "postcopy: the guest first, its pages as it touches them;",
        "hybrid: a few rounds of the former, then the latter;",
        "stop-and-copy: all of it while the guest stands still."
      })
  private MigrationMode mode = MigrationMode.PRECOPY;

  @Option(
      names = "--channels",
      paramLabel = "N",
      defaultValue = "1",
      description = "Data channels, 1 to 16 (default: ${DEFAULT-VALUE}).")
  private int channels;

  @Option(
      names = "--bandwidth",
      paramLabel = "RATE",
      converter = RateConverter.class,
      description = "Cap on all data channels together, for example 1Gbit or 100MB/s.")
  private @Nullable Long bandwidth;

  @Option(
      names = "--downtime-limit",
      paramLabel = "TIME",
      defaultValue = "300ms",
      converter = TimeSpanConverter.class,
      description = "How long the guest may stand still (default: ${DEFAULT-VALUE}).")
  private Duration downtimeLimit = Duration.ZERO;

  @Option(
      names = "--on-stall",
      paramLabel = "WHAT",
      description =
          "What becomes of a guest that dirties faster than the link carries: postcopy moves it at"
              + " once and lets its pages follow, pause keeps it still for as long as they take,"
              + " cancel leaves it here (default: postcopy, or pause where the target cannot).")
  private @Nullable OnStall onStall;

  @Option(
      names = "--push",
      paramLabel = "WHAT",
      defaultValue = "prepaging",
      description =
          "What is sent in post-copy besides the pages that the guest waits for: prepaging, their"
              + " neighbours first and then the rest; active, everything in order; none, nothing,"
              + " so that this host is needed until the guest has touched all of its memory"
              + " (default: ${DEFAULT-VALUE}).")
  private PushMode push = PushMode.PREPAGING;

  @Option(
      names = "--max-rounds",
      paramLabel = "N",
      defaultValue = "30",
      description = "Rounds while the guest runs (default: ${DEFAULT-VALUE}).")
  private int maxRounds;

  @Option(
      names = "--max-sent",
      paramLabel = "FACTOR",
      defaultValue = "3.0",
      description =
          "End the rounds when this multiple of the memory was sent (default: ${DEFAULT-VALUE}).")
  private double maxSent;

  @Option(
      names = "--dirty-threshold",
      paramLabel = "PAGES",
      defaultValue = "64",
      description = "So few pages left end the rounds (default: ${DEFAULT-VALUE}).")
  private long dirtyThreshold;

  @Option(
      names = "--hold-back",
      paramLabel = "HOW",
      defaultValue = "auto",
      description =
          "auto: pages that the guest keeps writing wait for a later round or the end, where neither"
              + " rounds nor deltas become short and the downtime limit has room for them (in mode"
              + " hybrid for the switch, however many); off: each round sends whatever was written"
              + " (default: ${DEFAULT-VALUE}).")
  private HoldBack holdBack = HoldBack.AUTO;

  @Option(
      names = "--zero",
      paramLabel = "HOW",
      defaultValue = "auto",
      description =
          "auto: of pages of zeros only the numbers are sent; off: they are sent like all others, to"
              + " see what the former saves (default: ${DEFAULT-VALUE}).")
  private Zero zero = Zero.AUTO;

  @Option(
      names = "--compress",
      paramLabel = "HOW",
      defaultValue = "auto",
      description =
          "auto: raw, lz4 or zstd, by what the link carries at the moment and what the cores have"
              + " left; lz4, zstd: that one for all that shrinks; off (default: ${DEFAULT-VALUE}).")
  private Compression compress = Compression.AUTO;

  @Option(
      names = "--delta",
      paramLabel = "HOW",
      defaultValue = "auto",
      description =
          "auto: pages that are sent again go as the difference from what the target has, where the"
              + " link is slow enough for that to pay; off (default: ${DEFAULT-VALUE}).")
  private Delta delta = Delta.AUTO;

  @Option(
      names = "--delta-cache",
      paramLabel = "SIZE",
      converter = SizeConverter.class,
      description =
          "How much memory may be taken for pages as the target has them, which deltas need"
              + " (default: an eighth of the guest's, at most 256M).")
  private @Nullable Long deltaCache;

  @Option(
      names = "--warm",
      paramLabel = "HOW",
      defaultValue = "auto",
      description =
          "auto: where the link is slow enough for that to pay the target is asked what it still has"
              + " of this guest from an earlier time, and only what differs is sent; on: in any case;"
              + " off (default: ${DEFAULT-VALUE}).")
  private Warm warm = Warm.AUTO;

  @Option(
      names = "--dedup",
      paramLabel = "HOW",
      defaultValue = "auto",
      description =
          "auto: where the link is slow enough for that to pay pages are offered by their digests, and"
              + " those whose content the target finds in memory or files that it may share are not"
              + " sent; on: in any case; off (default: ${DEFAULT-VALUE}).")
  private Dedup dedup = Dedup.AUTO;

  @Option(
      names = "--tracking",
      paramLabel = "HOW",
      defaultValue = "auto",
      description =
          "How dirty pages are found: userfaultfd, digest, or auto (default: ${DEFAULT-VALUE}).")
  private Tracking tracking = Tracking.AUTO;

  @Option(
      names = "--verify",
      paramLabel = "HOW",
      defaultValue = "running",
      description =
          "running: compare the digests kept while sending; full: reread both images during the"
              + " pause (default: ${DEFAULT-VALUE}).")
  private Verify verify = Verify.RUNNING;

  @Option(
      names = "--settle-for",
      paramLabel = "TIME",
      defaultValue = "20s",
      converter = TimeSpanConverter.class,
      description =
          "How long a lost confirmation is asked after before giving up with exit code 5 (default:"
              + " ${DEFAULT-VALUE}).")
  private Duration settleFor = Duration.ZERO;

  @Option(
      names = "--recover-for",
      paramLabel = "TIME",
      defaultValue = "30s",
      converter = TimeSpanConverter.class,
      description =
          "How long to try to reach the target again when the link is lost in post-copy, before"
              + " giving up with exit code 5 (default: ${DEFAULT-VALUE}).")
  private Duration recoverFor = Duration.ZERO;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the report here.")
  private @Nullable Path json;

  @Option(
      names = "--metrics",
      paramLabel = "HOST:PORT",
      converter = AddressConverter.class,
      description = "Serve Prometheus metrics here while the migration runs.")
  private @Nullable InetSocketAddress metrics;

  @Mixin private StateOptions state = new StateOptions();
  @Mixin private CopyOptions copies = new CopyOptions();
  @Mixin private TlsOptions tls = new TlsOptions();
  @Mixin private LoggingOptions logging = new LoggingOptions();

  /** The modes as they are written on the command line. */
  static final class ModeConverter implements ITypeConverter<MigrationMode> {
    @Override
    public MigrationMode convert(String text) {
      for (MigrationMode mode : MigrationMode.values()) {
        if (MigrationJournal.name(mode).equals(text.toLowerCase(Locale.ROOT))) {
          return mode;
        }
      }
      throw new TypeConversionException(
          "'" + text + "' is none of precopy, postcopy, hybrid and stop-and-copy");
    }
  }

  /** Whether pages that the guest keeps writing wait. */
  enum HoldBack {
    AUTO,
    OFF
  }

  /** Whether pages of zeros are only named. */
  enum Zero {
    AUTO,
    OFF
  }

  /** Whether deltas are made. */
  enum Delta {
    AUTO,
    OFF
  }

  /** What the digest is made of. */
  enum Verify {
    RUNNING,
    FULL
  }

  @Override
  public ExitCode call() throws CommandFailure {
    MigrationSettings settings = settings();
    UUID id = identity();
    Oversight oversight = Oversight.of(id, mode, AddressConverter.text(target));
    MigrationJournal journal = oversight.journal();
    try (SignalWatch signals = SignalWatch.over(oversight.cancellation())) {
      try (PeerConnector connector = new PeerConnector(transport());
          ControlSocket _ =
              ControlSocket.open(settings.stateDirectory(), "source", oversight.desk());
          SourceMetrics _ = SourceMetrics.serve(metrics, oversight.progress())) {
        try (ProgressDisplay _ = ProgressDisplay.show(oversight.progress(), logging.quiet())) {
          new Migration(
                  id,
                  settings,
                  new TargetPlace(connector, target, SourceAgent.INTRODUCTION),
                  tls.remembered(),
                  oversight)
              .run();
        }
        signals.done();
        finish(journal.completed());
        return ExitCode.DONE;
      } catch (CommandFailure e) {
        writeReport(journal.failed(e));
        throw signals.failed(e);
      } catch (IOException e) {
        throw signals.failed(
            new CommandFailure(
                ExitCode.FAILED, e.getMessage() + "; nothing was changed, the guest runs on", e));
      }
    }
  }

  private TransportSettings transport() throws CommandFailure {
    try {
      return tls.clientSettings(target, STORY);
    } catch (CommandFailure e) {
      throw new CommandFailure(e.exit(), e.sentence() + "; nothing was changed", e.getCause());
    }
  }

  /** The launcher chooses it, so that it can recover this migration if this process is killed. */
  private static UUID identity() {
    String chosen = System.getenv("PAGEFERRY_SOURCE_MIGRATION");
    return chosen == null || chosen.isEmpty() ? UUID.randomUUID() : UUID.fromString(chosen);
  }

  private MigrationSettings settings() {
    check(channels >= 1 && channels <= 16, "--channels takes 1 to 16");
    check(maxRounds >= 1, "--max-rounds takes 1 or more");
    check(maxSent >= 1, "--max-sent takes 1 or more");
    check(dirtyThreshold >= 0, "--dirty-threshold takes 0 or more");
    check(
        deltaCache == null || deltaCache >= 4096,
        "--delta-cache takes 4K or more; --delta off makes none");
    check(bandwidth == null || bandwidth > 0, "--bandwidth takes a rate above 0");
    check(
        json == null || ReportFile.mayBe(json),
        "--json names a file in a folder that is not there, or a folder: " + json);
    return new MigrationSettings(
        guest,
        targetName,
        mode,
        channels,
        bandwidth == null ? 0 : bandwidth,
        downtimeLimit,
        onStall == null ? OnStall.POSTCOPY : onStall,
        mode == MigrationMode.POSTCOPY
            || mode == MigrationMode.HYBRID
            || onStall == OnStall.POSTCOPY,
        push,
        maxRounds,
        maxSent,
        dirtyThreshold,
        holdBack == HoldBack.AUTO,
        zero == Zero.AUTO,
        compress,
        deltaCache(),
        warm,
        dedup,
        copies.limits(),
        tracking,
        verify == Verify.FULL,
        settleFor,
        recoverFor,
        state.directory());
  }

  private long deltaCache() {
    if (delta == Delta.OFF) {
      return 0;
    }
    return deltaCache == null ? MigrationSettings.DELTA_CACHE_BY_MEMORY : deltaCache;
  }

  private void check(boolean holds, String sentence) {
    if (!holds && spec != null) {
      throw new ParameterException(spec.commandLine(), sentence);
    }
  }

  private void finish(MigrationReport report) {
    writeReport(report);
    if (!logging.quiet()) {
      ReportSummary.lines(report).forEach(System.out::println);
    }
  }

  private void writeReport(MigrationReport report) {
    if (json != null) {
      writeReport(json, report);
    }
  }

  static void writeReport(Path file, MigrationReport report) {
    try {
      ReportFile.write(file, report);
    } catch (IOException e) {
      STORY.warn("The report could not be written to {}: {}.", file, e.getMessage());
    }
  }
}
