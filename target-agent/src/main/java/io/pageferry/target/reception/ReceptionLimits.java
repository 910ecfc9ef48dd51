package io.pageferry.target.reception;

import java.time.Duration;

/**
 * How long and how much one migration may take of this host.
 *
 * @param joinLimit from ACCEPTED until every data channel has joined; the tokens' life
 * @param idleLimit without a page or a message from a source that is alive
 * @param abandonAfter how long a prepared guest whose source is lost waits for it to ask
 * @param answerLimit how long a page that the guest waits for may take from a source that lives
 * @param deviceStateBytes largest device state
 */
public record ReceptionLimits(
    Duration joinLimit,
    Duration idleLimit,
    Duration abandonAfter,
    Duration answerLimit,
    int deviceStateBytes) {
  public static ReceptionLimits standard() {
    return new ReceptionLimits(
        Duration.ofSeconds(10),
        Duration.ofSeconds(120),
        Duration.ofSeconds(60),
        Duration.ofSeconds(30),
        32 << 20);
  }

  public ReceptionLimits withAbandonAfter(Duration value) {
    return new ReceptionLimits(joinLimit, idleLimit, value, answerLimit, deviceStateBytes);
  }

  public ReceptionLimits withJoinLimit(Duration value) {
    return new ReceptionLimits(value, idleLimit, abandonAfter, answerLimit, deviceStateBytes);
  }

  public ReceptionLimits withIdleLimit(Duration value) {
    return new ReceptionLimits(joinLimit, value, abandonAfter, answerLimit, deviceStateBytes);
  }

  public ReceptionLimits withAnswerLimit(Duration value) {
    return new ReceptionLimits(joinLimit, idleLimit, abandonAfter, value, deviceStateBytes);
  }
}
