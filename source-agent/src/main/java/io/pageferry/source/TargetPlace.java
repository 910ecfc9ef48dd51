package io.pageferry.source;

import io.pageferry.protocol.channel.PeerConnector;
import java.io.IOException;
import java.net.InetSocketAddress;

/**
 * Where the target agent is reached, as often as there is need to.
 *
 * @param connector with what it is reached; whoever made it closes it
 * @param introduction how this agent calls itself there
 */
record TargetPlace(PeerConnector connector, InetSocketAddress address, String introduction) {
  /** A new control channel; of which agent is to be seen by its {@link TargetLink#peer}. */
  TargetLink connect() throws IOException, InterruptedException {
    return TargetLink.connect(connector, address, introduction);
  }
}
