package io.pageferry.protocol.channel;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetSocketAddress;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;

@NullMarked
class StrangersTest {
  private static final InetSocketAddress NEAR = new InetSocketAddress("192.0.2.1", 7000);
  private static final InetSocketAddress FAR = new InetSocketAddress("192.0.2.2", 7000);

  @Test
  void theOldestMakesRoom() {
    Strangers<String> strangers = new Strangers<>(2);
    assertThat(strangers.enter("first", NEAR).displaced()).isEmpty();
    assertThat(strangers.enter("second", NEAR).displaced()).isEmpty();
    assertThat(strangers.enter("third", NEAR).displaced()).contains("first");
    assertThat(strangers.enter("fourth", NEAR).displaced()).contains("second");
  }

  @Test
  void whoHoldsManyPlacesLosesOneBeforeWhoHoldsFew() {
    Strangers<String> strangers = new Strangers<>(3);
    strangers.enter("far", FAR);
    strangers.enter("near 1", NEAR);
    strangers.enter("near 2", NEAR);
    assertThat(strangers.enter("far again", FAR).displaced()).contains("near 1");
  }

  @Test
  void whoHasLeftLeavesRoom() {
    Strangers<String> strangers = new Strangers<>(1);
    strangers.enter("first", NEAR);
    strangers.leave("first");
    assertThat(strangers.enter("second", NEAR).displaced()).isEmpty();
  }

  @Test
  void anIpv6NetworkIsOneAddress() {
    Strangers<String> strangers = new Strangers<>(3);
    strangers.enter("far", FAR);
    strangers.enter("one host", new InetSocketAddress("2001:db8::1", 7000));
    strangers.enter("the same", new InetSocketAddress("2001:db8::2", 7000));
    assertThat(strangers.enter("another", NEAR).displaced()).contains("one host");
  }

  @Test
  void whoHasShownACertificateStays() {
    Strangers<String> strangers = new Strangers<>(2);
    strangers.enter("known", NEAR);
    strangers.authenticated("known");
    strangers.enter("stranger", NEAR);
    assertThat(strangers.enter("another", FAR).displaced()).contains("stranger");
    strangers.authenticated("another");
    Strangers.Entry<String> late = strangers.enter("late", NEAR);
    assertThat(late.admitted()).isFalse();
    assertThat(late.displaced()).isEmpty();
  }
}
