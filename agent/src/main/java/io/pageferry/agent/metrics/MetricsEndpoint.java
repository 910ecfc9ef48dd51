package io.pageferry.agent.metrics;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.pageferry.agent.cli.AddressConverter;
import java.io.IOException;
import java.io.OutputStream;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * {@code --metrics HOST:PORT}: {@code GET /metrics} in Prometheus' text format. Two daemon threads;
 * it never blocks a migration.
 */
public final class MetricsEndpoint implements AutoCloseable {
  private static final String TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8";

  static {
    // Seconds. Without them a client that stops in mid-request keeps one of the threads for ever.
    // The JDK's server reads them once, when the first is made; a user's own choice goes first.
    Properties properties = System.getProperties();
    properties.putIfAbsent("sun.net.httpserver.maxReqTime", "2");
    properties.putIfAbsent("sun.net.httpserver.maxRspTime", "10");
  }

  private final PrometheusMeterRegistry registry;
  private final HttpServer server;
  private final ExecutorService threads;
  private final JvmGcMetrics collections = new JvmGcMetrics();

  private MetricsEndpoint(
      PrometheusMeterRegistry registry, HttpServer server, ExecutorService threads) {
    this.registry = registry;
    this.server = server;
    this.threads = threads;
  }

  /** A registry to register meters with, served or not: counting costs the same. */
  public static PrometheusMeterRegistry newRegistry() {
    return new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  }

  /**
   * Serves the registry's meters, and the JVM's own, which it adds.
   *
   * @throws IOException with a sentence for the user when the address cannot be bound
   */
  public static MetricsEndpoint start(InetSocketAddress address, PrometheusMeterRegistry registry)
      throws IOException {
    if (address.isUnresolved()) {
      throw new IOException(
          "cannot serve metrics: the host " + address.getHostString() + " is unknown");
    }
    HttpServer server;
    try {
      server = HttpServer.create(address, 16);
    } catch (BindException e) {
      throw new IOException(
          "cannot serve metrics on "
              + AddressConverter.numeric(address)
              + ": "
              + e.getMessage()
              + "; choose another address for --metrics",
          e);
    }
    ExecutorService threads =
        Executors.newFixedThreadPool(2, Thread.ofPlatform().daemon().name("metrics-", 0).factory());
    MetricsEndpoint endpoint = new MetricsEndpoint(registry, server, threads);
    endpoint.bindJvmMeters();
    server.createContext("/metrics", endpoint::answer);
    server.setExecutor(threads);
    server.start();
    return endpoint;
  }

  /** Where it really listens, which tells the port when 0 was asked for. */
  public InetSocketAddress address() {
    return server.getAddress();
  }

  private void bindJvmMeters() {
    new JvmMemoryMetrics().bindTo(registry);
    new JvmThreadMetrics().bindTo(registry);
    new ProcessorMetrics().bindTo(registry);
    new UptimeMetrics().bindTo(registry);
    collections.bindTo(registry);
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      if (!exchange.getRequestURI().getPath().equals("/metrics")) {
        exchange.sendResponseHeaders(404, -1);
        return;
      }
      if (!exchange.getRequestMethod().equals("GET")) {
        exchange.getResponseHeaders().set("Allow", "GET");
        exchange.sendResponseHeaders(405, -1);
        return;
      }
      byte[] body = registry.scrape(TEXT_FORMAT).getBytes(StandardCharsets.UTF_8);
      exchange.getResponseHeaders().set("Content-Type", TEXT_FORMAT);
      exchange.sendResponseHeaders(200, body.length);
      try (OutputStream out = exchange.getResponseBody()) {
        out.write(body);
      }
    }
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdownNow();
    collections.close();
  }
}
