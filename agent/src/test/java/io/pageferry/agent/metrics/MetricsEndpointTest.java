package io.pageferry.agent.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(180)
class MetricsEndpointTest {
  private static final InetSocketAddress ANY_PORT =
      new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);

  private final PrometheusMeterRegistry registry = MetricsEndpoint.newRegistry();

  private static HttpResponse<String> get(MetricsEndpoint endpoint, String path) throws Exception {
    URI uri = URI.create("http://127.0.0.1:" + endpoint.address().getPort() + path);
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
    }
  }

  @Test
  void ourMetersAndTheJvmsAreServed() throws Exception {
    registry.counter("pageferry.pages.sent", "encoding", "zero").increment(7);
    try (MetricsEndpoint endpoint = MetricsEndpoint.start(ANY_PORT, registry)) {
      HttpResponse<String> response = get(endpoint, "/metrics");
      assertThat(response.statusCode()).isEqualTo(200);
      assertThat(response.headers().firstValue("Content-Type"))
          .get()
          .asString()
          .startsWith("text/plain");
      assertThat(response.body())
          .contains("pageferry_pages_sent_total{encoding=\"zero\"} 7.0")
          .contains("jvm_memory_used_bytes")
          .contains("jvm_threads_live_threads");
    }
  }

  @Test
  void thereIsNothingElse() throws Exception {
    try (MetricsEndpoint endpoint = MetricsEndpoint.start(ANY_PORT, registry)) {
      assertThat(get(endpoint, "/").statusCode()).isEqualTo(404);
      assertThat(get(endpoint, "/metrics/more").statusCode()).isEqualTo(404);
    }
  }

  @Test
  void clientsThatStopInMidRequestAreLetGo() throws Exception {
    try (MetricsEndpoint endpoint = MetricsEndpoint.start(ANY_PORT, registry);
        Socket first = stuck(endpoint);
        Socket second = stuck(endpoint);
        Socket third = stuck(endpoint)) {
      assertThat(get(endpoint, "/metrics").statusCode()).isEqualTo(200);
      for (Socket stuck : List.of(first, second, third)) {
        assertThat(isEnded(stuck)).isTrue();
      }
    }
  }

  private static boolean isEnded(Socket socket) throws IOException {
    socket.setSoTimeout(20_000);
    try {
      return socket.getInputStream().read() < 0;
    } catch (SocketException reset) {
      return true;
    }
  }

  private static Socket stuck(MetricsEndpoint endpoint) throws IOException {
    Socket socket = new Socket(endpoint.address().getAddress(), endpoint.address().getPort());
    socket.getOutputStream().write("GET /metr".getBytes(StandardCharsets.US_ASCII));
    return socket;
  }

  @Test
  void anAddressThatIsTakenIsASentence() throws Exception {
    try (MetricsEndpoint endpoint = MetricsEndpoint.start(ANY_PORT, registry)) {
      assertThatThrownBy(
              () -> MetricsEndpoint.start(endpoint.address(), MetricsEndpoint.newRegistry()))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("cannot serve metrics on 127.0.0.1:" + endpoint.address().getPort())
          .hasMessageContaining("--metrics");
    }
  }

  @Test
  void anUnknownHostIsASentence() {
    assertThatThrownBy(
            () ->
                MetricsEndpoint.start(
                    InetSocketAddress.createUnresolved("no-such-host.invalid", 9), registry))
        .hasMessageContaining("the host no-such-host.invalid is unknown");
  }
}
