package io.pageferry.protocol.channel;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.Progress;
import io.pageferry.protocol.pki.TestAuthority;
import io.pageferry.protocol.tls.TlsContexts;
import io.pageferry.protocol.tls.TlsEngineKind;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.NullMarked;
import org.jspecify.annotations.Nullable;

/**
 * Measures, over loopback and with TLS, how long a page takes that is asked for on an urgent
 * channel: alone, and while two data channels push as fast as they can, with their queues as they
 * are and kept small. The yardstick is a request and an answer of the same sizes over two bare
 * blocking sockets of this process, alone. Argument: requests per figure (default 5000).
 */
@NullMarked
public final class UrgentLatencyMeasurement {
  private static final int PAGE = 4096;
  private static final int PUSHED_PAGES = 32;
  private static final int BULK_CHANNELS = 2;

  private UrgentLatencyMeasurement() {}

  public static void main(String[] arguments) throws Exception {
    int requests = arguments.length == 0 ? 5000 : Integer.parseInt(arguments[0]);
    Path directory = Files.createTempDirectory("pageferry-latency");
    TestAuthority authority = new TestAuthority(directory);
    TransportSettings serving =
        TransportSettings.tls(
            TlsContexts.server(authority.agent("target"), TlsEngineKind.BORINGSSL));
    TransportSettings connecting =
        TransportSettings.tls(
            TlsContexts.client(authority.agent("source"), TlsEngineKind.BORINGSSL));
    for (int run = 0; run < 3; run++) {
      print("bare sockets, alone", bare(requests));
      for (Boolean small : new @Nullable Boolean[] {null, false, true}) {
        try (Wire wire = new Wire(serving, connecting)) {
          String load =
              small == null ? "alone" : "beside bulk, " + (small ? "small" : "usual") + " queues";
          print("urgent channel, " + load, urgent(wire, requests, small));
        }
      }
    }
    TestAuthority.delete(directory);
  }

  private static long[] bare(int requests) throws IOException {
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        Socket asking = new Socket(server.getInetAddress(), server.getLocalPort());
        Socket answering = server.accept()) {
      asking.setTcpNoDelay(true);
      answering.setTcpNoDelay(true);
      byte[] question = new byte[FrameHeader.BYTES + 16];
      byte[] answer = new byte[FrameHeader.BYTES + PAGE];
      Thread.ofPlatform()
          .start(
              () -> {
                try {
                  DataInputStream in = new DataInputStream(answering.getInputStream());
                  byte[] heard = new byte[question.length];
                  for (int i = 0; i < requests; i++) {
                    in.readFully(heard);
                    answering.getOutputStream().write(answer);
                  }
                } catch (IOException e) {
                  throw new IllegalStateException(e);
                }
              });
      DataInputStream in = new DataInputStream(asking.getInputStream());
      long[] nanos = new long[requests];
      for (int i = 0; i < requests; i++) {
        long begin = System.nanoTime();
        asking.getOutputStream().write(question);
        in.readFully(answer);
        nanos[i] = System.nanoTime() - begin;
      }
      return nanos;
    }
  }

  /**
   * @param small whether bulk channels keep their queues small; null for no bulk
   */
  private static long[] urgent(Wire wire, int requests, @Nullable Boolean small) throws Exception {
    PeerChannel source = wire.connector.connectUrgent(wire.address);
    source.send(new Progress(0));
    PeerChannel target = wire.accepted();
    target.receive(Wire.SOON);
    target.urgent();
    Semaphore landed = new Semaphore(0);
    ByteBuf page = Wire.frame(0, PAGE);
    source.listen((Taking) (channel, frame) -> channel.sendNow(page.retainedDuplicate()));
    target.listen((Taking) (channel, frame) -> landed.release());
    AtomicBoolean over = new AtomicBoolean();
    for (int i = 0; small != null && i < BULK_CHANNELS; i++) {
      push(wire.join(), small, over);
    }
    long[] nanos = new long[requests];
    PageRequest request = new PageRequest(0, new long[] {1});
    for (int i = 0; i < requests; i++) {
      long begin = System.nanoTime();
      target.send(request);
      landed.acquire();
      nanos[i] = System.nanoTime() - begin;
    }
    over.set(true);
    source.close();
    target.close();
    return nanos;
  }

  private static void push(Wire.Ends bulk, boolean small, AtomicBoolean over) {
    if (small) {
      bulk.source().keepUnsentSmall();
    }
    bulk.target().listen((Taking) (channel, frame) -> {});
    ByteBuf pages = Wire.frame(0, PUSHED_PAGES * PAGE);
    Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              try {
                while (!over.get()) {
                  bulk.source().sendFrame(pages.retainedDuplicate());
                }
              } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
              } finally {
                bulk.close();
              }
            });
  }

  private static void print(String what, long[] nanos) {
    Arrays.sort(nanos);
    System.out.printf(
        Locale.ROOT,
        "%-42s p50 %5d µs   p99 %6d µs%n",
        what,
        nanos[nanos.length / 2] / 1000,
        nanos[nanos.length * 99 / 100] / 1000);
  }

  /** A listener that needs the frame's coming only. */
  private interface Taking extends FrameListener {
    void taken(PeerChannel channel, Frame frame);

    @Override
    default void onFrame(PeerChannel channel, Frame frame) {
      frame.release();
      taken(channel, frame);
    }

    @Override
    default void onClosed(PeerChannel channel, @Nullable Throwable cause) {}
  }
}
