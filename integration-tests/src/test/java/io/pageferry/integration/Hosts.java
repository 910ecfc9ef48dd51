package io.pageferry.integration;

import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.TemporaryPki;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * Two "hosts" on this machine that all test classes share: one set of certificates, one source
 * host, and a target agent for each way of securing the connection, started when first wanted. That
 * so many migrations, failed ones among them, go through the same target agents is a test of its
 * own.
 */
final class Hosts implements AutoCloseable {
  /**
   * Resolves the shared hosts as a test's parameter, and ends what a failed test left running: a
   * guest never rests, and the next test is to have the machine for itself.
   */
  static final class Shared implements ParameterResolver, BeforeEachCallback, AfterEachCallback {
    private static final String BEFORE = "processes before the test";

    @Override
    public void beforeEach(ExtensionContext extension) {
      store(extension).put(BEFORE, new HashSet<>(hosts(extension).workplace.processes()));
    }

    @Override
    public void afterEach(ExtensionContext extension) {
      Set<?> before = Objects.requireNonNull(store(extension).get(BEFORE, Set.class));
      if (extension.getExecutionException().isEmpty()) {
        return;
      }
      Workplace workplace = hosts(extension).workplace;
      for (RunningProcess process : workplace.processes()) {
        if (!before.contains(process)
            && (process.name().startsWith("guest") || process.name().startsWith("source"))) {
          process.close();
        }
      }
      endGuestsThatArrived(workplace);
    }

    private static void endGuestsThatArrived(Workplace workplace) {
      try {
        for (ProcessTable.Entry left :
            ProcessTable.mentioning(workplace.imageFolder().toString())) {
          if (left.command().contains("-incoming")) {
            ProcessHandle.of(left.pid()).ifPresent(ProcessHandle::destroyForcibly);
          }
        }
      } catch (IOException unreadable) {
        throw new UncheckedIOException(unreadable);
      }
    }

    private static ExtensionContext.Store store(ExtensionContext extension) {
      return extension.getStore(ExtensionContext.Namespace.create(Hosts.class));
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext extension) {
      return parameter.getParameter().getType() == Hosts.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext extension) {
      return hosts(extension);
    }

    private static Hosts hosts(ExtensionContext extension) {
      return extension
          .getRoot()
          .getStore(ExtensionContext.Namespace.GLOBAL)
          .getOrComputeIfAbsent(Hosts.class, key -> create(), Hosts.class);
    }

    private static Hosts create() {
      try {
        return new Hosts(Workplace.create("pageferry-test"));
      } catch (IOException failure) {
        throw new IllegalStateException(failure);
      }
    }
  }

  private static final int LOWEST_PORT = 20_000;

  /** Of Linux, unless it was told otherwise. */
  private static final int LOWEST_EPHEMERAL_PORT = 32_768;

  static {
    // Half of the time of many a test is waiting for one thing after the other.
    Awaitility.setDefaultPollDelay(Duration.ZERO);
    Awaitility.setDefaultPollInterval(Duration.ofMillis(30));
  }

  private final Workplace workplace;
  private final SourceHost source;
  private final PeerSecurity tls;
  private final Map<PeerSecurity, TargetHost> targets = new HashMap<>();
  private final AtomicInteger guests = new AtomicInteger();

  private Hosts(Workplace workplace) throws IOException {
    this.workplace = workplace;
    this.source = SourceHost.create(workplace, "source");
    this.tls =
        PeerSecurity.tls(
            TemporaryPki.create(workplace.subfolder("pki"), "source", "target", "stranger"));
  }

  /** Where everything of the tests is. */
  Workplace workplace() {
    return workplace;
  }

  /** The host that guests leave. */
  SourceHost source() {
    return source;
  }

  /** Mutual TLS with the agent's own choice of engine. */
  PeerSecurity tls() {
    return tls;
  }

  /** TLS with an engine, or plain TCP for {@code plaintext}. */
  PeerSecurity secured(@Nullable String engine) {
    return "plaintext".equals(engine) ? PeerSecurity.plaintext() : tls.withEngine(engine);
  }

  /** The target host that takes connections secured so. */
  synchronized TargetHost target(PeerSecurity security) throws IOException, InterruptedException {
    TargetHost running = targets.get(security);
    if (running == null || !running.agent().isAlive()) {
      running =
          TargetHost.start(workplace, "target" + targets.size(), security, List.of()).awaitReady();
      targets.put(security, running);
    }
    return running;
  }

  /** The target host for mutual TLS. */
  TargetHost target() throws IOException, InterruptedException {
    return target(tls);
  }

  /** Another target agent in the place of one that was killed: same folders, same address. */
  TargetHost restarted(TargetHost killed) throws IOException, InterruptedException {
    killed.agent().awaitExit(Journey.LIMIT);
    return TargetHost.start(
            workplace, killed.name(), killed.address(), tls, Surroundings.USUAL, List.of())
        .awaitReady();
  }

  /**
   * An address to listen on that is still free when an agent was killed and another one is to have
   * it: no port that the kernel gives to whoever asks for any.
   */
  static String lastingAddress() throws IOException {
    while (true) {
      int port = ThreadLocalRandom.current().nextInt(LOWEST_PORT, LOWEST_EPHEMERAL_PORT);
      try (ServerSocket free = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
        return "127.0.0.1:" + free.getLocalPort();
      } catch (BindException taken) {
        // Another one, then.
      }
    }
  }

  /** A name that no other guest has, of this run or of one beside it. */
  String guestName() {
    return "g%d-%d".formatted(ProcessHandle.current().pid(), guests.incrementAndGet());
  }

  @Override
  public void close() {
    workplace.close();
  }
}
