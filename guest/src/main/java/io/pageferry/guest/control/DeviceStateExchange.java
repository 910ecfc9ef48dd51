package io.pageferry.guest.control;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * The private folder and the sockets through which device state leaves and enters a guest. The
 * folder is this user's alone (0700), so nobody else can take the guest's registers or plant some.
 *
 * <p>Connecting, reading and writing happen on a thread of their own: the caller can then give up
 * in time, and an interrupt of the caller does not cut the stream.
 */
final class DeviceStateExchange implements AutoCloseable {
  private final PrivateFolder folder;
  private int uses;

  private DeviceStateExchange(PrivateFolder folder) {
    this.folder = folder;
  }

  static DeviceStateExchange open() throws GuestControlException {
    try {
      return new DeviceStateExchange(PrivateFolder.open());
    } catch (IOException e) {
      throw new GuestControlException("no private folder for the device state can be made", e);
    }
  }

  private synchronized Path nextPath() {
    return folder.resolve("state" + uses++);
  }

  /** Listens, and reads whatever comes, before the guest is told where to send. */
  Saving startSaving() throws GuestControlException {
    return new Saving(nextPath());
  }

  Loading startLoading() {
    return new Loading(nextPath());
  }

  /** Sends a state to ourselves, so that every class of the way is loaded when it counts. */
  void rehearse(Duration timeout) throws GuestControlException {
    try (Saving saving = startSaving();
        Loading loading = new Loading(saving.path)) {
      loading.send(new byte[64 << 10], timeout);
      saving.await(timeout);
    }
  }

  @Override
  public void close() {
    folder.close();
  }

  /** A socket that receives a state. */
  static final class Saving implements AutoCloseable {
    private final Path path;
    private final ServerSocketChannel server;
    private final CompletableFuture<byte[]> state;
    private volatile @Nullable SocketChannel accepted;

    private Saving(Path path) throws GuestControlException {
      this.path = path;
      try {
        this.server = DeviceStateSocket.listen(path);
      } catch (IOException e) {
        throw new GuestControlException("cannot listen for device state at " + path, e);
      }
      this.state = start("device-state-save", this::receive);
    }

    private byte[] receive() throws IOException {
      try (SocketChannel connection = server.accept()) {
        accepted = connection;
        if (!server.isOpen()) {
          // close() may have come too early to see the connection.
          throw new IOException("given up");
        }
        return DeviceStateSocket.readAll(connection, GuestControl.MAX_DEVICE_STATE);
      }
    }

    String uri() {
      return "unix:" + path;
    }

    byte[] await(Duration timeout) throws GuestControlException {
      return DeviceStateExchange.await(state, timeout, "send its device state", this::end);
    }

    /** Ends the reader as well, which else would wait on a connection that nobody closes. */
    private void end() {
      closeQuietly(server);
      SocketChannel connection = accepted;
      if (connection != null) {
        closeQuietly(connection);
      }
    }

    @Override
    public void close() {
      end();
      delete(path);
    }
  }

  /** A connection to a guest that listens for its state. */
  static final class Loading implements AutoCloseable {
    private final Path path;
    private volatile @Nullable SocketChannel connection;
    private volatile boolean ended;

    private Loading(Path path) {
      this.path = path;
    }

    String uri() {
      return "unix:" + path;
    }

    void send(byte[] bytes, Duration timeout) throws GuestControlException {
      CompletableFuture<byte[]> sent =
          start(
              "device-state-load",
              () -> {
                try (SocketChannel opened = connect()) {
                  connection = opened;
                  if (ended) {
                    // close() may have come too early to see the connection.
                    throw new IOException("given up");
                  }
                  DeviceStateSocket.send(opened, ByteBuffer.wrap(bytes));
                }
                return bytes;
              });
      DeviceStateExchange.await(sent, timeout, "take its device state", this::end);
    }

    private SocketChannel connect() throws GuestControlException {
      try {
        return DeviceStateSocket.connect(path);
      } catch (IOException e) {
        throw new GuestControlException(
            "the guest does not listen for its device state at " + path, e);
      }
    }

    private void end() {
      ended = true;
      SocketChannel opened = connection;
      if (opened != null) {
        closeQuietly(opened);
      }
    }

    @Override
    public void close() {
      end();
      delete(path);
    }
  }

  private static CompletableFuture<byte[]> start(String name, Callable<byte[]> work) {
    CompletableFuture<byte[]> result = new CompletableFuture<>();
    Thread.ofPlatform()
        .name(name)
        .daemon()
        .start(
            () -> {
              try {
                result.complete(work.call());
              } catch (Exception | OutOfMemoryError e) {
                result.completeExceptionally(e);
              }
            });
    return result;
  }

  private static byte[] await(
      CompletableFuture<byte[]> result, Duration timeout, String what, Runnable end)
      throws GuestControlException {
    long deadline = System.nanoTime() + timeout.toNanos();
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return result.get(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (TimeoutException e) {
          end.run();
          throw new GuestControlException("the guest did not " + what + " in time", e);
        } catch (ExecutionException e) {
          Throwable cause = e.getCause();
          if (cause instanceof GuestControlException said) {
            throw said;
          }
          throw new GuestControlException(
              "the guest could not " + what + ": " + (cause == null ? e : cause).getMessage(), e);
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static void closeQuietly(Channel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      // Nothing more is to be sent or received there.
    }
  }

  private static void delete(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      // close() of the exchange tries again with the whole folder.
    }
  }
}
