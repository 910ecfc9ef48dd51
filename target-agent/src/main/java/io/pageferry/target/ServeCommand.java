package io.pageferry.target;

import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.pageferry.agent.cli.AddressConverter;
import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.CopyOptions;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.StateOptions;
import io.pageferry.agent.cli.TimeSpanConverter;
import io.pageferry.agent.cli.TlsOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.local.ControlReply;
import io.pageferry.agent.local.ControlRequest;
import io.pageferry.agent.local.ControlSocket;
import io.pageferry.agent.metrics.MetricsEndpoint;
import io.pageferry.agent.process.LowPriority;
import io.pageferry.guest.attach.Attach;
import io.pageferry.guest.control.DeviceStateRehearsal;
import io.pageferry.protocol.page.PageRehearsal;
import io.pageferry.protocol.rehearsal.ConversationRehearsal;
import io.pageferry.target.admission.AllowList;
import io.pageferry.target.content.Sharing;
import io.pageferry.target.reception.ReceptionLimits;
import io.pageferry.target.recovery.Sweep;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code target serve}: receives guests until it is told to stop. */
@Command(
    name = "serve",
    description = "Receive guests until told to stop.",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class)
final class ServeCommand implements Callable<ExitCode> {
  static final String ROLE = "target";

  @Option(
      names = "--listen",
      paramLabel = "HOST:PORT",
      required = true,
      converter = AddressConverter.class,
      description = "Where sources connect to; port 0 takes a free one and prints it.")
  private InetSocketAddress listen = new InetSocketAddress(0);

  @Option(
      names = "--guests",
      paramLabel = "DIR",
      required = true,
      description = "Folder of the descriptions of the guests that may come, NAME.yaml each.")
  private Path guests = Path.of(".");

  @Option(
      names = "--allow",
      paramLabel = "PEER=GUEST,…",
      description =
          "Which agent may send which guests, * for all; may be repeated. Without it, and without"
              + " --allow-file, every agent of our authority may send every guest described here.")
  private List<String> allow = new ArrayList<>();

  @Option(
      names = "--allow-file",
      paramLabel = "FILE",
      description = "The same, one entry a line; read again for each migration.")
  private @Nullable Path allowFile;

  @Option(
      names = "--max-migrations",
      paramLabel = "N",
      defaultValue = "8",
      description = "How many guests are received at once (default: ${DEFAULT-VALUE}).")
  private int maxMigrations = 8;

  @Option(
      names = "--abandon-after",
      paramLabel = "TIME",
      defaultValue = "60s",
      converter = TimeSpanConverter.class,
      description =
          "How long a guest that is ready waits for a source that was lost (default:"
              + " ${DEFAULT-VALUE}).")
  private Duration abandonAfter = Duration.ofSeconds(60);

  @Option(
      names = "--launch-limit",
      paramLabel = "TIME",
      defaultValue = "30s",
      converter = TimeSpanConverter.class,
      description =
          "How long a launched guest may take until it answers (default: ${DEFAULT-VALUE}).")
  private Duration launchLimit = Duration.ofSeconds(30);

  @Option(
      names = "--share",
      paramLabel = "WHOM",
      defaultValue = "sender",
      description =
          "In which guests' memory here a source's pages are looked for, so that they need not be"
              + " sent: none, only in the guest's own; sender, in that of all guests that the same"
              + " agent sent, by its certificate; all, in that of every guest that came"
              + " (default: ${DEFAULT-VALUE}).")
  private Sharing sharing = Sharing.SENDER;

  @Option(
      names = "--hint",
      paramLabel = "FILE",
      description =
          "A file in which every source's pages are looked for as well, a disk image or a kernel; may"
              + " be repeated.")
  private List<Path> hints = new ArrayList<>();

  @Option(
      names = "--metrics",
      paramLabel = "HOST:PORT",
      converter = AddressConverter.class,
      description = "Serve metrics to Prometheus there.")
  private @Nullable InetSocketAddress metrics;

  @Mixin private TlsOptions tls = new TlsOptions();
  @Mixin private StateOptions state = new StateOptions();
  @Mixin private CopyOptions copies = new CopyOptions();

  @SuppressWarnings("unused") // set by picocli, read by AgentCommandLine
  @Mixin
  private LoggingOptions logging = new LoggingOptions();

  private final Logger story = LogOutput.story(ROLE);

  @Override
  public ExitCode call() throws CommandFailure, InterruptedException {
    TargetSettings settings = settings();
    PrometheusMeterRegistry registry = MetricsEndpoint.newRegistry();
    sweep();
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch finished = new CountDownLatch(1);
    Thread hook = new Thread(() -> stop(asked, finished), "stop");
    ConversationRehearsal.begin();
    rehearseGuests();
    try (PageRehearsal _ = PageRehearsal.begin(LowPriority.threads("page-rehearsal"));
        CopyWatch _ = CopyWatch.over(new GuestCopies(state.directory(), settings.copies()));
        TargetServer server = new TargetServer(settings, registry, story);
        ControlSocket socket =
            ControlSocket.open(state.directory(), ROLE, request -> answer(server, request));
        MetricsEndpoint endpoint =
            metrics == null ? null : MetricsEndpoint.start(metrics, registry)) {
      InetSocketAddress address = server.listen(listen);
      Runtime.getRuntime().addShutdownHook(hook);
      System.out.println("listening on " + AddressConverter.text(address));
      story.info(
          "guests described in {} may come; {} transport, control socket {}{}",
          settings.guests(),
          server.transport().optionName(),
          socket.path(),
          endpoint == null ? "" : ", metrics on " + AddressConverter.text(endpoint.address()));
      asked.await();
      story.info("stopping: what is not taken over yet is abandoned");
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.FAILED, String.valueOf(e.getMessage()), e);
    } finally {
      finished.countDown();
    }
    return ExitCode.DONE;
  }

  /** What a guest needs of its target, before the first one waits for it. */
  private static void rehearseGuests() {
    if (PageRehearsal.wanted()) {
      Thread.ofPlatform()
          .daemon()
          .name("guest-rehearsal")
          .start(
              () -> {
                DeviceStateRehearsal.run();
                Attach.rehearse();
              });
    }
  }

  /** Runs as the process is being ended: the process is gone when this returns. */
  private static void stop(CountDownLatch asked, CountDownLatch finished) {
    asked.countDown();
    try {
      finished.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private TargetSettings settings() throws CommandFailure {
    if (!Files.isDirectory(guests)) {
      throw new CommandFailure(
          ExitCode.USAGE,
          guests
              + " is no folder: make it, and put the description of each guest that may come"
              + " here into it as NAME.yaml");
    }
    if (listen.isUnresolved()) {
      throw new CommandFailure(
          ExitCode.USAGE, "the host " + listen.getHostString() + " to listen on is unknown");
    }
    return new TargetSettings(
        tls.serverSettings(listen, story),
        guests.toAbsolutePath().normalize(),
        state.directory(),
        allowList(),
        maxMigrations,
        launchLimit,
        ReceptionLimits.standard().withAbandonAfter(abandonAfter),
        copies.limits(),
        sharing,
        hints());
  }

  /** A device or a pipe could be read for ever. */
  private List<Path> hints() throws CommandFailure {
    for (Path hint : hints) {
      if (!Files.isRegularFile(hint) || !Files.isReadable(hint)) {
        throw new CommandFailure(
            ExitCode.USAGE,
            hint + " is no file that can be read: name a kernel, a disk or memory image as --hint");
      }
    }
    List<Path> real = new ArrayList<>();
    try {
      for (Path hint : hints) {
        real.add(hint.toRealPath());
      }
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.FAILED, "a --hint is gone: " + e.getMessage(), e);
    }
    return real;
  }

  private AllowList allowList() throws CommandFailure {
    try {
      if (allowFile != null && !allow.isEmpty()) {
        throw new CommandFailure(ExitCode.USAGE, "give --allow or --allow-file, not both");
      }
      if (allowFile != null) {
        return AllowList.inFile(allowFile);
      }
      return allow.isEmpty() ? AllowList.everyone() : AllowList.of(allow);
    } catch (IllegalArgumentException e) {
      throw new CommandFailure(ExitCode.USAGE, String.valueOf(e.getMessage()), e);
    } catch (IOException e) {
      throw new CommandFailure(
          ExitCode.FAILED, "the allow-list " + allowFile + " cannot be read: " + e.getMessage(), e);
    }
  }

  /** What killed agents left is settled before any peer can ask. */
  private void sweep() throws CommandFailure {
    try {
      for (Sweep.Finding finding : new Sweep(state.directory()).run()) {
        if (finding.settled()) {
          story.info("{}", finding.sentence());
        } else {
          story.warn("{}", finding.sentence());
        }
      }
    } catch (LedgerException e) {
      throw new CommandFailure(ExitCode.FAILED, String.valueOf(e.getMessage()), e);
    }
  }

  private static ControlReply answer(TargetServer server, ControlRequest request) {
    UUID migration = request.migration();
    return switch (request.command()) {
      case ControlRequest.STATUS ->
          ControlReply.done(
              ROLE,
              "",
              server.status().stream()
                  .filter(one -> migration == null || one.migration().equals(migration))
                  .toList());
      case ControlRequest.CANCEL ->
          migration != null && server.cancel(migration)
              ? ControlReply.done(ROLE, "asked to end", List.of())
              : ControlReply.refused(ROLE, "no such migration is being received here");
      default -> ControlReply.refused(ROLE, "'" + request.command() + "' is not understood");
    };
  }
}
