package io.pageferry.guest.control;

import io.pageferry.guest.handover.HandoverMode;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Steers one guest, by QMP or by the user's commands; {@link GuestPlace} makes it. Blocking; every
 * call ends within the control's timeout. One thread at a time, except {@link #gone} and {@link
 * #close}, which any thread may call; the latter makes a waiting call fail.
 *
 * <p>A {@link GuestControlException} of {@link #pause} or {@link #resume} leaves open whether the
 * guest obeyed: ask for {@link #status} before deciding anything. Only a {@link
 * GuestNotToldException} says that it did not, because it never heard of it.
 */
public interface GuestControl extends AutoCloseable {
  /** The largest device state that is saved or loaded: 32 MiB. */
  int MAX_DEVICE_STATE = 32 << 20;

  GuestStatus status() throws GuestControlException;

  /** Returns when no instruction of the guest runs any more. A paused guest stays paused. */
  void pause() throws GuestControlException;

  /** Lets the guest run. */
  void resume() throws GuestControlException;

  /**
   * Runs the code that {@link #pause}, {@link #saveDeviceState}, {@link #loadDeviceState} and
   * {@link #resume} will run and makes what they will need, without changing the guest. Worth it
   * when the next of these calls is the first of this process: class loading would add tens of
   * milliseconds to the downtime.
   */
  void warmUp() throws GuestControlException;

  /**
   * Registers and devices of the paused guest, without its memory; once a pause, as QEMU has it (a
   * guest that went on and was paused again may be saved again). Returns when the guest has said
   * that this was all of it.
   *
   * @param early gets it as soon as it is here, on this thread: at most {@link #MAX_DEVICE_STATE}
   *     bytes, opaque. Void if this throws afterwards
   */
  void saveDeviceState(Consumer<byte[]> early) throws GuestControlException;

  /** As the other, for whoever has nothing to do in between. */
  default byte[] saveDeviceState() throws GuestControlException {
    byte[][] state = {{}};
    saveDeviceState(early -> state[0] = early);
    return state[0];
  }

  /**
   * Has a guest that waits for its device state do what it can before that is here; {@link
   * #loadDeviceState} then takes less time. May be left out; once, as the load itself: a guest that
   * listens does not begin anew.
   */
  void expectDeviceState() throws GuestControlException;

  /**
   * Loads what {@link #saveDeviceState} gave on the other host into a guest that waits for it.
   * Returns when the guest is ready to {@link #resume}.
   */
  void loadDeviceState(byte[] state) throws GuestControlException;

  /**
   * Asks the guest to hand over a userfaultfd on its memory to the socket that listens at {@code
   * socket}.
   */
  void requestHandover(Path socket, HandoverMode mode) throws GuestControlException;

  /**
   * Has the network cards of a running guest say where they are now, so that switches send them
   * their frames. Returns at once, and never fails: without it they learn it from the guest's own
   * frames.
   */
  void announce();

  /** The machine that QEMU says it runs; empty for any other guest. */
  Optional<QemuMachine> machine() throws GuestControlException;

  /** What the demo guest says about itself; empty for any other guest. */
  Optional<GuestTicks> ticks() throws GuestControlException;

  /**
   * Whether the guest's process has ended, as far as this control knows: the connection to it is
   * lost and nobody is there to make another one with, or its status was said to be that. A guest
   * that does not answer is not gone. Does not block.
   */
  boolean gone();

  /** Ends the guest; returns when it took the command. */
  void quit() throws GuestControlException;

  /** Lets go of the guest, which runs on as it is. */
  @Override
  void close();
}
