package io.pageferry.integration.demo;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.pageferry.agent.report.ReportFile;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.TemporaryPki;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One run of the demo, from the empty temporary folder to nothing left.
 *
 * <p>Threads: the main thread drives; on Ctrl-C the shutdown hook takes over, waits for the source
 * agent, which gets the signal as well, cancels and leaves the guest running, and then clears up.
 */
final class DemoRun implements AutoCloseable {
  private static final Duration CANCEL_LIMIT = Duration.ofSeconds(15);
  private static final Duration MIGRATION_LIMIT = Duration.ofHours(1);

  private final DemoOptions options;
  private final Workplace workplace;
  private final Traveller guest;
  private final Thread hook;
  private volatile @Nullable Departure departure;
  private volatile boolean interrupted;

  private DemoRun(DemoOptions options, Workplace workplace) {
    this.options = options;
    this.workplace = workplace;
    this.guest = options.traveller();
    this.hook = new Thread(this::interrupt, "demo-ends");
  }

  /**
   * Makes the folders.
   *
   * @throws IOException if that fails
   */
  static DemoRun prepare(DemoOptions options) throws IOException {
    DemoRun run = new DemoRun(options, Workplace.create("pageferry-demo"));
    Runtime.getRuntime().addShutdownHook(run.hook);
    return run;
  }

  /**
   * Starts everything, moves the guest, asks it, and reports.
   *
   * @return the source agent's exit code, or 1 when the guest found a fault that the agents did not
   * @throws IOException if a part of it does not come up
   * @throws InterruptedException if this thread was interrupted
   */
  int move() throws IOException, InterruptedException {
    // The guest fills its memory while the certificates are made and the target agent starts.
    Scene scene = guest.scene();
    SourceHost source = SourceHost.create(workplace, "source", scene.source());
    guest.start(source);
    PeerSecurity security =
        options.plaintext
            ? PeerSecurity.plaintext()
            : PeerSecurity.tls(TemporaryPki.create(workplace.subfolder("pki"), "source", "target"))
                .withEngine(options.tlsEngine);
    TargetHost.Starting starting =
        TargetHost.start(
            workplace,
            "target",
            scene.listen(),
            security,
            scene.target(),
            options.logging.verbose() ? List.of("--verbose") : List.of());
    say("Starting " + guest.description() + " …");
    TargetHost target = starting.awaitReady();
    guest.announceTo(target);
    guest.awaitReady();
    say(
        "Guest in process %d, target agent in process %d on %s."
            .formatted(guest.process().pid(), target.agent().pid(), target.address()));

    Departure started =
        source.migrate(
            guest.spec(),
            target.address(),
            security,
            null,
            options.sourceArguments(),
            Terminal.SHARED);
    departure = started;
    int exit = started.awaitExit(MIGRATION_LIMIT);
    if (interrupted) {
      // The hook ends this process; nothing more is to be said here.
      Thread.currentThread().join();
    }
    return exit == 0 ? arrived(started) : failed(started, exit, target);
  }

  private int arrived(Departure started) throws IOException, InterruptedException {
    Testimony testimony = guest.testifyThere();
    DemoReport result = DemoReport.of((ObjectNode) started.report(), testimony);
    guest.conversation().ifPresent(result::noteConversation);
    if (!options.logging.quiet()) {
      System.out.print(result.text());
    }
    write(result.json());
    if (options.keep) {
      say("Kept: " + workplace.folder());
    }
    guest.quitThere();
    if (!testimony.foundNothing()) {
      System.err.println("The guest found damaged pages after the move: " + testimony.firstFault());
      return 1;
    }
    return 0;
  }

  private int failed(Departure started, int exit, TargetHost target)
      throws IOException, InterruptedException {
    if (started.reportFile().toFile().exists()) {
      write((ObjectNode) started.report());
    }
    if (guest.process().isAlive()) {
      Testimony testimony = guest.testifyHere();
      say(
          "The guest is %s on the source; it checked its %d pages and found %d faults."
              .formatted(
                  testimony.running() ? "running" : "paused",
                  testimony.pagesVerified(),
                  testimony.faults()));
    }
    if (options.logging.verbose()) {
      System.err.print(target.agent().transcript().text());
    }
    return exit;
  }

  private void write(ObjectNode report) throws IOException {
    if (options.json != null) {
      ReportFile.writeJson(options.json, report.toPrettyString() + "\n");
    }
  }

  private void say(String line) {
    if (!options.logging.quiet()) {
      System.out.println(line);
    }
  }

  /** Runs as a shutdown hook: on Ctrl-C, or when somebody asks the demo to end. */
  private void interrupt() {
    interrupted = true;
    int exit = 4;
    Departure started = departure;
    try {
      if (started != null) {
        started.agent().signal(Signal.INT);
        exit = started.awaitExit(CANCEL_LIMIT);
      }
    } catch (IOException stuck) {
      System.err.println(stuck.getMessage());
      exit = 1;
    } catch (InterruptedException impatient) {
      exit = 1;
    } finally {
      clearUp();
    }
    // The signal's own exit code would hide what became of the guest.
    Runtime.getRuntime().halt(exit);
  }

  private void clearUp() {
    if (options.keep) {
      workplace.stopProcesses();
    } else {
      workplace.close();
    }
    // Its network goes once nobody is on it.
    guest.close();
  }

  /** Stops and removes what was started and made. */
  @Override
  public void close() {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException endsAlready) {
      // The hook does the rest.
      return;
    }
    clearUp();
  }
}
