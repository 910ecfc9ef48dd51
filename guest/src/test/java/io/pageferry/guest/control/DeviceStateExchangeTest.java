package io.pageferry.guest.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Device state over sockets of our own, at both ends. */
@Timeout(180)
class DeviceStateExchangeTest {
  private static final Duration LIMIT = Duration.ofSeconds(20);

  @Test
  void anInterruptIsLeftToWhoIsInterruptedAndCutsNothing() throws Exception {
    try (DeviceStateExchange exchange = DeviceStateExchange.open()) {
      Thread.currentThread().interrupt();
      exchange.rehearse(LIMIT);
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void aGuestThatDoesNotListenIsASentence() throws Exception {
    try (DeviceStateExchange exchange = DeviceStateExchange.open();
        DeviceStateExchange.Loading loading = exchange.startLoading()) {
      assertThatThrownBy(() -> loading.send(new byte[1], LIMIT))
          .isInstanceOf(GuestControlException.class)
          .hasMessageStartingWith("the guest does not listen for its device state at /");
    }
  }
}
