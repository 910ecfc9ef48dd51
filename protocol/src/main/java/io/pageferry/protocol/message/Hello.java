package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.Arrays;
import java.util.Objects;
import java.util.UUID;

/**
 * The first message on every connection, from the source.
 *
 * @param versions what the source speaks
 * @param role what the connection is for
 * @param capabilities what the source can do
 * @param limits what the source is ready to receive
 * @param agent program and version, up to {@value #MAX_AGENT_BYTES} bytes
 * @param migration {@link #NO_MIGRATION} on a fresh control connection, else the migration that is
 *     joined or asked after
 * @param token the 32 bytes from {@link Accepted} or {@link Resumed} on a data or fault connection,
 *     else empty. Not copied: nobody may change it
 * @param channelIndex number of the data channel from 0, else 0
 */
@SuppressWarnings("ArrayRecordComponent") // equals, hashCode and toString are written out below
public record Hello(
    VersionRange versions,
    ChannelRole role,
    Capabilities capabilities,
    Limits limits,
    String agent,
    UUID migration,
    byte[] token,
    int channelIndex)
    implements Message {
  /** First word of the payload: the bytes P G F Y. */
  public static final int MAGIC = 0x59464750;

  public static final int MAX_AGENT_BYTES = 64;
  public static final int TOKEN_BYTES = 32;

  /** Stands for "none yet". */
  public static final UUID NO_MIGRATION = new UUID(0, 0);

  public Hello {
    Bounds.checkText("agent", agent, MAX_AGENT_BYTES);
    if (token.length != 0 && token.length != TOKEN_BYTES) {
      throw new IllegalArgumentException("a token of " + token.length + " bytes");
    }
    Bounds.check("channel index", channelIndex, 0, Limits.MAX_DATA_CHANNELS - 1L);
  }

  @Override
  public FrameType type() {
    return FrameType.HELLO;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Hello that
        && versions.equals(that.versions)
        && role == that.role
        && capabilities.equals(that.capabilities)
        && limits.equals(that.limits)
        && agent.equals(that.agent)
        && migration.equals(that.migration)
        && Arrays.equals(token, that.token)
        && channelIndex == that.channelIndex;
  }

  @Override
  public int hashCode() {
    return Objects.hash(versions, role, migration, channelIndex, Arrays.hashCode(token));
  }

  /** Leaves the token out: it must not get into a log. */
  @Override
  public String toString() {
    return "Hello[versions=%s, role=%s, capabilities=%s, %s, agent=%s, migration=%s, channel=%d]"
        .formatted(versions, role, capabilities, limits, agent, migration, channelIndex);
  }
}
