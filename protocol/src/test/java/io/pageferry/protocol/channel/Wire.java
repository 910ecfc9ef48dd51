package io.pageferry.protocol.channel;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.Crc32c;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.message.Progress;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.NullMarked;

/** An acceptor and a connector of this process, joined by real sockets over loopback. */
@NullMarked
final class Wire implements AutoCloseable {
  static final Duration SOON = Duration.ofSeconds(60);

  /** Bytes that count up; each frame's content is a stretch of them. */
  private static final byte[] COUNTED = new byte[FrameHeader.MAX_PAYLOAD + 256];

  static {
    for (int i = 0; i < COUNTED.length; i++) {
      COUNTED[i] = (byte) i;
    }
  }

  final PeerAcceptor acceptor;
  final PeerConnector connector;
  final InetSocketAddress address;
  final BlockingQueue<PeerChannel> accepted = new LinkedBlockingQueue<>();

  Wire(TransportSettings settings) throws Exception {
    this(settings, settings);
  }

  Wire(TransportSettings server, TransportSettings client) throws Exception {
    acceptor = new PeerAcceptor(server);
    connector = new PeerConnector(client);
    address = acceptor.bind(loopback(), accepted::add);
  }

  static InetSocketAddress loopback() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
  }

  /** The next accepted channel. */
  PeerChannel accepted() throws InterruptedException {
    PeerChannel channel = accepted.poll(SOON.toSeconds(), TimeUnit.SECONDS);
    if (channel == null) {
      throw new AssertionError("nothing was accepted within " + SOON);
    }
    return channel;
  }

  /** Both ends of a new channel; the first message has been read. */
  Ends join() throws Exception {
    PeerChannel source = connector.connect(address);
    source.send(new Progress(0));
    PeerChannel target = accepted();
    target.receive(SOON);
    return new Ends(source, target);
  }

  record Ends(PeerChannel source, PeerChannel target) implements AutoCloseable {
    @Override
    public void close() {
      source.close();
      target.close();
    }
  }

  /**
   * A frame of the type of a page batch, its payload filled by a rule that {@link #isIntact}
   * checks.
   */
  static ByteBuf frame(int number, int length) {
    ByteBuf frame = PeerPipeline.ALLOCATOR.directBuffer(FrameHeader.BYTES + length);
    frame.writerIndex(FrameHeader.BYTES);
    frame.writeBytes(COUNTED, number * 31 & 0xff, length);
    int crc = Crc32c.of(frame, FrameHeader.BYTES, length);
    FrameHeader.write(frame, 0, FrameType.PAGES, length, crc);
    return frame;
  }

  static boolean isIntact(ByteBuf payload, int number, int length) {
    if (payload.readableBytes() != length) {
      return false;
    }
    ByteBuffer expected = ByteBuffer.wrap(COUNTED, number * 31 & 0xff, length);
    return payload.nioBuffer().equals(expected);
  }

  @Override
  public void close() {
    connector.close();
    acceptor.close();
    accepted.forEach(PeerChannel::close);
  }
}
