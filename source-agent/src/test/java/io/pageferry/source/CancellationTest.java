package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class CancellationTest {

  @Test
  void aRequestInterruptsTheDriver() {
    Cancellation cancellation = new Cancellation();
    cancellation.drivenBy(Thread.currentThread());
    assertThat(cancellation.request("a test")).isTrue();
    assertThat(Thread.interrupted()).isTrue();
    assertThat(cancellation.wish()).isEqualTo("a test");
  }

  @Test
  void aRequestBeforeTheDriverBeganIsNotLost() {
    Cancellation cancellation = new Cancellation();
    cancellation.request("an early test");
    cancellation.drivenBy(Thread.currentThread());
    assertThat(Thread.interrupted()).isTrue();
  }

  @Test
  void thePointOfNoReturnRefusesLaterRequestsAndObeysEarlierOnes() throws InterruptedException {
    Cancellation late = new Cancellation();
    late.drivenBy(Thread.currentThread());
    late.passPointOfNoReturn();
    assertThat(late.request("a late test")).isFalse();
    assertThat(Thread.interrupted()).isFalse();

    Cancellation early = new Cancellation();
    early.request("a test");
    assertThatThrownBy(early::passPointOfNoReturn).isInstanceOf(InterruptedException.class);
  }

  @Test
  void aRequestWhileTheLinkIsDownSaysThatItOnlyEndsTheAttempts() throws InterruptedException {
    Cancellation cancellation = new Cancellation();
    cancellation.drivenBy(Thread.currentThread());
    assertThat(cancellation.effect()).startsWith("Cancelling");
    cancellation.beginServing();
    cancellation.pauseServing(Thread.currentThread());
    assertThat(cancellation.effect()).contains("attempts");
    assertThat(cancellation.request("a test")).isTrue();
    assertThat(Thread.interrupted()).isTrue();
  }

  @Test
  void nothingInterruptsTheCleanUp() {
    Cancellation cancellation = new Cancellation();
    cancellation.drivenBy(Thread.currentThread());
    cancellation.request("a test");
    cancellation.ignoreFromNowOn("the guest is being put back here");
    assertThat(Thread.currentThread().isInterrupted()).isFalse();
    assertThat(cancellation.request("another")).isFalse();
    assertThat(cancellation.refusal())
        .isEqualTo("too late to cancel: the guest is being put back here");
    assertThat(Thread.currentThread().isInterrupted()).isFalse();
  }
}
