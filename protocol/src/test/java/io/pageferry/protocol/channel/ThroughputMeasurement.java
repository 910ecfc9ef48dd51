package io.pageferry.protocol.channel;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.Crc32c;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.message.Progress;
import io.pageferry.protocol.pki.TestAuthority;
import io.pageferry.protocol.tls.TlsContexts;
import io.pageferry.protocol.tls.TlsEngineKind;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.NullMarked;
import org.jspecify.annotations.Nullable;

/**
 * Measures one data channel over loopback against a bare loop of blocking socket calls, both in
 * this process: source reads a file, target writes a file, 256 KiB at a time. Arguments: MiB per
 * run (default 2048), runs (default 5), then any of plain, boringssl, bouncycastle, jdk;
 * --transport NAME; --no-files to leave the files out.
 */
@NullMarked
public final class ThroughputMeasurement {
  private static final int CHUNK = 256 << 10;
  private static final int FILE_BYTES = 256 << 20;

  private final long bytes;
  private final @Nullable FileChannel in;
  private final @Nullable FileChannel out;

  private ThroughputMeasurement(long bytes, @Nullable FileChannel in, @Nullable FileChannel out) {
    this.bytes = bytes;
    this.in = in;
    this.out = out;
  }

  public static void main(String[] arguments) throws Exception {
    List<String> words = new ArrayList<>(List.of(arguments));
    boolean files = !words.remove("--no-files");
    Transport transport = Transport.AUTO;
    int at = words.indexOf("--transport");
    if (at >= 0) {
      transport = Transport.valueOf(words.get(at + 1).toUpperCase(Locale.ROOT).replace('-', '_'));
      words.subList(at, at + 2).clear();
    }
    long bytes = (words.isEmpty() ? 2048 : Long.parseLong(words.remove(0))) << 20;
    int runs = words.isEmpty() ? 5 : Integer.parseInt(words.remove(0));
    if (words.isEmpty()) {
      words.addAll(List.of("plain", "boringssl", "bouncycastle", "jdk"));
    }
    Path directory = Files.createTempDirectory(Path.of("/dev/shm"), "pageferry-throughput");
    try (FileChannel in = file(directory.resolve("in"));
        FileChannel out = file(directory.resolve("out"))) {
      ThroughputMeasurement measurement =
          new ThroughputMeasurement(bytes, files ? in : null, files ? out : null);
      measurement.run(words, runs, transport, directory);
    } finally {
      for (String name : List.of("in", "out")) {
        Files.deleteIfExists(directory.resolve(name));
      }
      TestAuthority.delete(directory);
    }
  }

  private static FileChannel file(Path path) throws IOException {
    FileChannel file =
        FileChannel.open(
            path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK);
    Random random = new Random(1);
    for (long position = 0; position < FILE_BYTES; position += CHUNK) {
      chunk.clear();
      while (chunk.hasRemaining()) {
        chunk.putLong(random.nextLong());
      }
      file.write(chunk.flip(), position);
    }
    return file;
  }

  private void run(List<String> words, int runs, Transport transport, Path directory)
      throws Exception {
    bare(); // warms the machine as well
    for (String word : words) {
      List<Double> rates = new ArrayList<>();
      List<Double> ratios = new ArrayList<>();
      channel(word, transport, directory.resolve(word + "-warm"));
      for (int i = 0; i < runs; i++) {
        double bare = bare();
        double rate = channel(word, transport, directory.resolve(word + i));
        rates.add(rate);
        ratios.add(rate / bare);
      }
      System.out.printf(
          Locale.ROOT,
          "%-13s %s  median %.2f GB/s, ratio to the bare loop: median %.2f, min %.2f, max %.2f%n",
          word,
          transport.resolve(),
          median(rates),
          median(ratios),
          Collections.min(ratios),
          Collections.max(ratios));
    }
  }

  private static double median(List<Double> values) {
    return values.stream().sorted().toList().get(values.size() / 2);
  }

  /** GB/s of blocking socket calls. */
  private double bare() throws Exception {
    try (ServerSocketChannel server = ServerSocketChannel.open()) {
      server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      CountDownLatch done = new CountDownLatch(1);
      Thread receiver =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try (SocketChannel socket = server.accept()) {
                      ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK);
                      for (long got = 0; got < bytes; got += CHUNK) {
                        buffer.clear();
                        while (buffer.hasRemaining() && socket.read(buffer) >= 0) {}
                        land(buffer.flip(), got);
                      }
                      done.countDown();
                    } catch (IOException e) {
                      throw new IllegalStateException(e);
                    }
                  });
      long start;
      try (SocketChannel socket = SocketChannel.open(server.getLocalAddress())) {
        socket.setOption(StandardSocketOptions.TCP_NODELAY, true);
        ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK);
        start = System.nanoTime();
        for (long sent = 0; sent < bytes; sent += CHUNK) {
          buffer.clear();
          take(buffer, sent);
          buffer.clear();
          while (buffer.hasRemaining()) {
            socket.write(buffer);
          }
        }
        done.await();
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      receiver.join();
      return bytes / seconds / 1e9;
    }
  }

  private void take(ByteBuffer buffer, long position) throws IOException {
    if (in != null) {
      in.read(buffer, position % FILE_BYTES);
    }
  }

  private void land(ByteBuffer buffer, long position) throws IOException {
    if (out != null) {
      out.write(buffer, position % FILE_BYTES);
    }
  }

  private double channel(String word, Transport transport, Path directory) throws Exception {
    TransportSettings server = TransportSettings.plaintext().withTransport(transport);
    TransportSettings client = server;
    if (!word.equals("plain")) {
      TlsEngineKind engine = TlsEngineKind.valueOf(word.toUpperCase(Locale.ROOT));
      TestAuthority authority = new TestAuthority(directory);
      server = server.withTls(TlsContexts.server(authority.agent("target"), engine));
      client = client.withTls(TlsContexts.client(authority.agent("source"), engine));
    }
    CompletableFuture<PeerChannel> accepted = new CompletableFuture<>();
    CountDownLatch done = new CountDownLatch(1);
    try (PeerAcceptor acceptor = new PeerAcceptor(server);
        PeerConnector connector = new PeerConnector(client)) {
      InetSocketAddress address =
          acceptor.bind(
              new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), accepted::complete);
      try (PeerChannel source = connector.connect(address)) {
        source.send(new Progress(1));
        PeerChannel target = accepted.get();
        target.receive(Duration.ofSeconds(5));
        target.listen(new Landing(done));
        long start = System.nanoTime();
        for (long sent = 0; sent < bytes; sent += CHUNK) {
          ByteBuf frame = source.allocator().directBuffer(FrameHeader.BYTES + CHUNK);
          frame.writerIndex(FrameHeader.BYTES + CHUNK);
          take(frame.nioBuffer(FrameHeader.BYTES, CHUNK), sent);
          int crc = Crc32c.of(frame, FrameHeader.BYTES, CHUNK);
          FrameHeader.write(frame, 0, FrameType.PAGES, CHUNK, crc);
          source.sendFrame(frame);
        }
        done.await();
        double seconds = (System.nanoTime() - start) / 1e9;
        target.close();
        return bytes / seconds / 1e9;
      }
    }
  }

  private final class Landing implements FrameListener {
    private final CountDownLatch done;
    private long got;

    Landing(CountDownLatch done) {
      this.done = done;
    }

    @Override
    public void onFrame(PeerChannel channel, Frame frame) throws IOException {
      try {
        land(frame.payload().nioBuffer(), got);
        got += frame.payload().readableBytes();
      } finally {
        frame.release();
      }
      if (got == bytes) {
        done.countDown();
      }
    }

    @Override
    public void onClosed(PeerChannel channel, @Nullable Throwable cause) {
      if (cause != null) {
        System.err.println(cause.getMessage());
      }
    }
  }
}
