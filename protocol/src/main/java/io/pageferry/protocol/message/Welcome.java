package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * The target's answer to {@link Hello}.
 *
 * @param version the version that holds from here on
 * @param capabilities what the target can do
 * @param limits what the target is ready to receive
 * @param agent program and version, up to {@link Hello#MAX_AGENT_BYTES} bytes
 */
public record Welcome(int version, Capabilities capabilities, Limits limits, String agent)
    implements Message {
  public Welcome {
    Bounds.check("version", version, 1, 0xFFFF);
    Bounds.checkText("agent", agent, Hello.MAX_AGENT_BYTES);
  }

  @Override
  public FrameType type() {
    return FrameType.WELCOME;
  }
}
