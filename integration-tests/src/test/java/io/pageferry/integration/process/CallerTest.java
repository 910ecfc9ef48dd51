package io.pageferry.integration.process;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The client that is to find what a migration does to a connection finds it. */
@Timeout(60)
final class CallerTest {
  /** Entering one's own namespace changes nothing, and takes root as well. */
  private static final Path HERE = Path.of("/proc/self/ns/net");

  private static final Duration LIMIT = Duration.ofSeconds(30);
  private static final int PLACE = 5_000;

  /** What becomes of the byte at some place of what a server sends back. */
  enum Echo {
    LOSES {
      @Override
      void pass(int octet, OutputStream out, Socket client) {
        // It is gone.
      }
    },
    DOUBLES {
      @Override
      void pass(int octet, OutputStream out, Socket client) throws IOException {
        out.write(octet);
        out.write(octet);
      }
    },
    CHANGES {
      @Override
      void pass(int octet, OutputStream out, Socket client) throws IOException {
        out.write(octet ^ 1);
      }
    },
    HANGS_UP {
      @Override
      void pass(int octet, OutputStream out, Socket client) throws IOException {
        client.close();
      }
    },
    RESETS {
      @Override
      void pass(int octet, OutputStream out, Socket client) throws IOException {
        client.setSoLinger(true, 0);
        client.close();
      }
    },
    PASSES {
      @Override
      void pass(int octet, OutputStream out, Socket client) throws IOException {
        out.write(octet);
      }
    };

    abstract void pass(int octet, OutputStream out, Socket client) throws IOException;
  }

  private static ServerSocket serve(Echo echo) throws IOException {
    ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
    Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              try (Socket client = server.accept();
                  InputStream in = client.getInputStream();
                  OutputStream out = client.getOutputStream()) {
                int place = 0;
                for (int octet = in.read(); octet >= 0; octet = in.read()) {
                  if (++place == PLACE) {
                    echo.pass(octet, out, client);
                  } else {
                    out.write(octet);
                  }
                }
              } catch (IOException hungUp) {
                // What the client says of it is what is looked at.
              }
            });
    return server;
  }

  private static Caller call(ServerSocket server) throws Exception {
    Caller caller =
        Caller.call(
            HERE, new InetSocketAddress(InetAddress.getLoopbackAddress(), server.getLocalPort()));
    caller.talk();
    return caller;
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "PASSES")
  void findsThatAServer(Echo echo) throws Exception {
    try (ServerSocket server = serve(echo);
        Caller caller = call(server)) {
      assertThatThrownBy(
              () -> {
                for (long bytes = 0; bytes < 4 * PLACE; ) {
                  bytes = caller.awaitAnswer(LIMIT).bytes();
                }
              })
          .isInstanceOf(ProcessFailure.class)
          .hasMessageContaining("connection broke after line");
    }
  }

  @Test
  void findsNothingWhereAllComesBack() throws Exception {
    try (ServerSocket server = serve(Echo.PASSES);
        Caller caller = call(server)) {
      long bytes = 0;
      while (bytes < 2 * PLACE) {
        bytes = caller.awaitAnswer(LIMIT).bytes();
      }
      Caller.Conversation all = caller.hush(LIMIT);
      assertThat(all.bytes()).isGreaterThanOrEqualTo(bytes);
      assertThat(all.longestPause()).isPositive();
    }
  }
}
