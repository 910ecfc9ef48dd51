package io.pageferry.integration.demo;

import io.pageferry.integration.process.GuestNetwork;
import io.pageferry.integration.process.GuestNetwork.Host;
import io.pageferry.integration.process.Surroundings;

/**
 * Where the two hosts of a demo are.
 *
 * @param source where the source's agent runs, and a guest that needs its host's network
 * @param target where the target's agent runs
 * @param listen the target agent's address and port
 */
record Scene(Surroundings source, Surroundings target, String listen) {
  /** Both are this machine, and its loopback is between them. */
  static final Scene LOOPBACK = new Scene(Surroundings.USUAL, Surroundings.USUAL, "127.0.0.1:0");

  /** Both are on a network. */
  static Scene on(GuestNetwork network) {
    return new Scene(
        network.on(Host.ALPHA, Surroundings.USUAL),
        network.on(Host.BETA, Surroundings.USUAL),
        Host.BETA.listen());
  }
}
