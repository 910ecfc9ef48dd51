package io.pageferry.integration;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.ChannelRole;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * What stands between the agents: carries their connections, breaks them at a byte or at a frame,
 * and changes frames on plain connections.
 *
 * <p>Threads: any; two of its own for each connection.
 */
final class Relay implements AutoCloseable {
  /** How connections break. */
  enum Break {
    /** Both ends see the connection closed. */
    HANG_UP,
    /** Both ends see it reset, and what was in the buffers is lost. */
    RESET,
    /** Nobody sees anything; nothing comes any more. */
    SILENCE
  }

  /** Sees each frame of the plain connections. Any of the relay's threads. */
  interface Censor {
    /** What goes on in the frame's place, in this order. */
    List<byte[]> pass(Relay relay, Passing frame) throws IOException;
  }

  /**
   * A frame on its way.
   *
   * @param role the connection's, as its HELLO said
   * @param bytes header and payload
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Passing(FrameType type, ChannelRole role, boolean toTarget, byte[] bytes) {}

  /** What happens at a byte. */
  interface Action {
    void run() throws Exception;
  }

  private record Trap(long at, Action action, CompletableFuture<Void> sprung) {
    void spring() {
      try {
        action.run();
        sprung.complete(null);
      } catch (Exception failure) {
        sprung.completeExceptionally(failure);
      }
    }
  }

  private static final class Link {
    final Socket source;
    final Socket target;
    private final AtomicInteger ended = new AtomicInteger();
    volatile ChannelRole role = ChannelRole.CONTROL;
    volatile boolean silent;

    Link(Socket source, Socket target) {
      this.source = source;
      this.target = target;
    }

    void breakDown(Break how) {
      switch (how) {
        case SILENCE -> silent = true;
        case RESET -> {
          reset(source);
          reset(target);
        }
        case HANG_UP -> close();
      }
    }

    /** One direction has come to its end; the other may still carry a last word. */
    void ended(Socket to) throws IOException {
      if (ended.incrementAndGet() == 2) {
        close();
      } else {
        to.shutdownOutput();
      }
    }

    void close() {
      closeQuietly(source);
      closeQuietly(target);
    }
  }

  private final ServerSocket server;
  private final InetSocketAddress target;
  private final @Nullable Censor censor;
  private final Set<Link> links = ConcurrentHashMap.newKeySet();
  private final AtomicLong carried = new AtomicLong();
  private final AtomicReference<@Nullable Trap> trap = new AtomicReference<>();

  /** Guarded by this. */
  private boolean open = true;

  private Relay(InetSocketAddress target, @Nullable Censor censor) throws IOException {
    this.server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    this.target = target;
    this.censor = censor;
    Thread.ofPlatform().daemon().name("relay").start(this::accept);
  }

  /** A relay that looks at nothing. The target may be killed and come again at its address. */
  static Relay to(TargetHost target) throws IOException {
    return new Relay(address(target), null);
  }

  /** A relay for plain connections that shows each frame to a censor. */
  static Relay to(TargetHost target, Censor censor) throws IOException {
    return new Relay(address(target), censor);
  }

  private static InetSocketAddress address(TargetHost target) {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), target.port());
  }

  /** Where a source finds the target. */
  String address() {
    return "127.0.0.1:" + server.getLocalPort();
  }

  /**
   * Does something when so many bytes more were carried, in both directions together; the
   * connection that carries the last of them stops at it meanwhile.
   *
   * @return done when the action is
   */
  CompletableFuture<Void> after(long bytes, Action action) {
    CompletableFuture<Void> sprung = new CompletableFuture<>();
    trap.set(new Trap(carried.get() + bytes, action, sprung));
    return sprung;
  }

  /** Breaks all connections and lets none come about until {@link #mend}. */
  synchronized void cut(Break how) {
    open = false;
    links.forEach(link -> link.breakDown(how));
    if (how != Break.SILENCE) {
      links.removeIf(link -> !link.silent);
    }
  }

  /** Lets connections come about again. */
  synchronized void mend() {
    open = true;
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        take(server.accept());
      } catch (IOException closed) {
        // The loop's condition says whether it was this socket.
      }
    }
  }

  private synchronized void take(Socket source) {
    if (!open) {
      reset(source);
      return;
    }
    Socket onward = new Socket();
    try {
      onward.connect(target);
      onward.setTcpNoDelay(true);
      source.setTcpNoDelay(true);
    } catch (IOException notThere) {
      closeQuietly(onward);
      reset(source);
      return;
    }
    Link link = new Link(source, onward);
    links.add(link);
    Thread.ofPlatform().daemon().name("relay-out").start(() -> carry(link, true));
    Thread.ofPlatform().daemon().name("relay-back").start(() -> carry(link, false));
  }

  private void carry(Link link, boolean toTarget) {
    Socket from = toTarget ? link.source : link.target;
    Socket to = toTarget ? link.target : link.source;
    try {
      if (censor == null) {
        carryBytes(link, from.getInputStream(), to.getOutputStream());
      } else {
        carryFrames(link, toTarget, from, to.getOutputStream(), censor);
      }
      if (!link.silent) {
        link.ended(to);
      }
    } catch (IOException broken) {
      if (!link.silent) {
        link.close();
      }
    }
  }

  private void carryBytes(Link link, InputStream in, OutputStream out) throws IOException {
    byte[] buffer = new byte[32 << 10];
    for (int read = in.read(buffer); read >= 0 && !link.silent; read = in.read(buffer)) {
      write(link, out, buffer, read);
    }
  }

  private void carryFrames(
      Link link, boolean toTarget, Socket from, OutputStream out, Censor shownTo)
      throws IOException {
    DataInputStream in = new DataInputStream(from.getInputStream());
    byte[] header = new byte[FrameHeader.BYTES];
    while (!link.silent) {
      FrameType type;
      byte[] bytes;
      try {
        in.readFully(header);
        ByteBuf view = Unpooled.wrappedBuffer(header);
        type = FrameHeader.check(view, 0, FrameHeader.MAX_PAYLOAD);
        bytes = Arrays.copyOf(header, FrameHeader.BYTES + FrameHeader.payloadLength(view, 0));
        in.readFully(bytes, FrameHeader.BYTES, bytes.length - FrameHeader.BYTES);
      } catch (EOFException ended) {
        return;
      } catch (ProtocolException notFrames) {
        throw new IOException(notFrames);
      }
      if (type == FrameType.HELLO) {
        link.role = roleOf(bytes);
      }
      for (byte[] passed : shownTo.pass(this, new Passing(type, link.role, toTarget, bytes))) {
        write(link, out, passed, passed.length);
      }
    }
  }

  /** PROTOCOL.md: the byte after magic and versions. */
  private static ChannelRole roleOf(byte[] hello) {
    return switch (hello[FrameHeader.BYTES + 8]) {
      case 2 -> ChannelRole.DATA;
      case 3 -> ChannelRole.FAULT;
      default -> ChannelRole.CONTROL;
    };
  }

  private void write(Link link, OutputStream out, byte[] bytes, int length) throws IOException {
    long end = carried.addAndGet(length);
    Trap due = trap.get();
    if (due == null || end < due.at || !trap.compareAndSet(due, null)) {
      out.write(bytes, 0, length);
      return;
    }
    int before = (int) Math.max(0, length - (end - due.at));
    out.write(bytes, 0, before);
    due.spring();
    if (!link.silent) {
      out.write(bytes, before, length - before);
    }
  }

  private static void reset(Socket socket) {
    try {
      socket.setSoLinger(true, 0);
    } catch (IOException closed) {
      // Closed is what it is to be.
    }
    closeQuietly(socket);
  }

  private static void closeQuietly(Socket socket) {
    try {
      socket.close();
    } catch (IOException closed) {
      // Closed is what it is to be.
    }
  }

  @Override
  public synchronized void close() throws IOException {
    server.close();
    links.forEach(Link::close);
  }
}
