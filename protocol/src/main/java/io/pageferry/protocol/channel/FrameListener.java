package io.pageferry.protocol.channel;

import io.pageferry.protocol.frame.Frame;
import org.jspecify.annotations.Nullable;

/**
 * Takes the frames of a data or fault channel as they come, on the channel's event loop. The loop
 * reads on only after {@link #onFrame} returned, so a listener that takes long (a slow write) makes
 * the sender wait by TCP's own means and nothing piles up here.
 */
public interface FrameListener {
  /**
   * One frame, in order. Keep-alives are not passed on.
   *
   * @param frame owned by the listener, which must release it, also when it throws
   * @throws Exception ends the channel with this as its cause
   */
  void onFrame(PeerChannel channel, Frame frame) throws Exception;

  /**
   * {@link PeerChannel#isWritable} was false and is true again. On the event loop, possibly from
   * within a {@link PeerChannel#sendNow} there.
   *
   * @throws Exception ends the channel with this as its cause
   */
  default void onWritable(PeerChannel channel) throws Exception {}

  /**
   * The channel ended; called once, after the last frame.
   *
   * @param cause why, as a sentence ({@link PeerLostException} or the listener's own exception), or
   *     null when this side closed it
   */
  void onClosed(PeerChannel channel, @Nullable Throwable cause);
}
