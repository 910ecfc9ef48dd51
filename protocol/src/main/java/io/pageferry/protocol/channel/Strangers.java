package io.pageferry.protocol.channel;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The connections that have not yet said who they are. When all places are taken, the oldest
 * unauthenticated one of the address that holds the most makes room: whoever opens many connections
 * and says nothing displaces himself, and an address that holds few loses none while another holds
 * more. Without that, a few silent sockets without a certificate would keep everybody out.
 *
 * <p>Any thread; guarded by its own monitor.
 *
 * @param <T> a connection, by identity
 */
final class Strangers<T> {
  private static final int IPV6_NETWORK_BYTES = 8;

  private record Place(String origin, boolean authenticated) {}

  /** What became of a newcomer; {@code displaced} has lost its place and is to be closed. */
  record Entry<T>(boolean admitted, Optional<T> displaced) {}

  private final int limit;
  // In the order of coming. Guarded by this.
  private final Map<T, Place> places = new LinkedHashMap<>();

  Strangers(int limit) {
    this.limit = limit;
  }

  /** Gives a newcomer a place unless all are held by authenticated peers. */
  synchronized Entry<T> enter(T newcomer, @Nullable SocketAddress from) {
    Optional<T> displaced = Optional.empty();
    if (places.size() >= limit) {
      displaced = makeRoom();
      if (displaced.isEmpty()) {
        return new Entry<>(false, displaced);
      }
    }
    places.put(newcomer, new Place(origin(from), false));
    return new Entry<>(true, displaced);
  }

  private Optional<T> makeRoom() {
    Map<String, Integer> held = new HashMap<>();
    places
        .values()
        .forEach(
            place -> {
              if (!place.authenticated()) {
                held.merge(place.origin(), 1, Integer::sum);
              }
            });
    T oldest = null;
    int most = 0;
    for (Map.Entry<T, Place> entry : places.entrySet()) {
      int count = held.getOrDefault(entry.getValue().origin(), 0);
      if (!entry.getValue().authenticated() && count > most) {
        oldest = entry.getKey();
        most = count;
      }
    }
    if (oldest == null) {
      return Optional.empty();
    }
    places.remove(oldest);
    return Optional.of(oldest);
  }

  /** A peer that has shown its certificate is not displaced any more. */
  synchronized void authenticated(T stranger) {
    places.computeIfPresent(stranger, (key, place) -> new Place(place.origin(), true));
  }

  /** Frees the place, if it is still held. */
  synchronized void leave(T stranger) {
    places.remove(stranger);
  }

  /** An IPv6 host has a whole network of 64 bits to itself, so that counts as one address. */
  private static String origin(@Nullable SocketAddress from) {
    if (!(from instanceof InetSocketAddress socket)) {
      return "";
    }
    InetAddress host = socket.getAddress();
    if (host == null) {
      return "";
    }
    byte[] bytes = host.getAddress();
    return Arrays.toString(
        bytes.length > IPV6_NETWORK_BYTES ? Arrays.copyOf(bytes, IPV6_NETWORK_BYTES) : bytes);
  }
}
