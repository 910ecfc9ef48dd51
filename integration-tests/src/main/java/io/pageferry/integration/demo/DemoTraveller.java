package io.pageferry.integration.demo;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.Caller;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.GuestSpec;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The demo guest, which answers questions about itself over QMP. */
final class DemoTraveller implements Traveller {
  private final DemoGuestSpec spec;
  private @Nullable DemoGuest here;
  private @Nullable DemoGuest there;

  /**
   * @param writeBytes how much of a page each write changes, as a user writes it
   */
  DemoTraveller(String memory, String pattern, String dirtyRate, String writeBytes) {
    this.spec =
        new DemoGuestSpec(
            "demo", memory, 1, pattern, dirtyRate, List.of("--write-bytes", writeBytes));
  }

  @Override
  public GuestSpec spec() {
    return spec;
  }

  @Override
  public String description() {
    return "a guest of " + spec.memory() + " that writes " + spec.dirtyRate();
  }

  @Override
  public Scene scene() {
    return Scene.LOOPBACK;
  }

  @Override
  public void start(SourceHost source) throws IOException {
    here = source.startGuest(spec);
  }

  @Override
  public void awaitReady() throws IOException, InterruptedException {
    here().awaitReady();
  }

  @Override
  public void announceTo(TargetHost target) throws IOException {
    target.expect(spec);
    there = DemoGuest.arrivedAt(target, spec);
  }

  @Override
  public RunningProcess process() {
    return here().process();
  }

  @Override
  public Testimony testifyThere() throws IOException {
    return testimony(there());
  }

  @Override
  public Testimony testifyHere() throws IOException {
    return testimony(here());
  }

  private Testimony testimony(DemoGuest guest) throws IOException {
    JsonNode ticks = guest.ticks();
    JsonNode verification = guest.verify();
    JsonNode fault = verification.path("firstFault");
    return new Testimony(
        verification.path("running").asBoolean(),
        "by its own clock",
        ticks.path("handoverGapMicros").asLong() / 1000.0,
        ticks.path("longestGapMicros").asLong() / 1000.0,
        spec.pages(),
        verification.path("pagesVerified").asLong(),
        verification.path("faultsFound").asLong(),
        fault.isTextual() ? fault.asText() : null,
        ticks.path("operations").asLong());
  }

  @Override
  public Optional<Caller.Conversation> conversation() {
    return Optional.empty();
  }

  @Override
  public void quitThere() throws IOException {
    there().quit();
  }

  private DemoGuest here() {
    return Objects.requireNonNull(here, "not started yet");
  }

  private DemoGuest there() {
    return Objects.requireNonNull(there, "not announced yet");
  }

  @Override
  public void close() {
    // Its questions are a connection each.
  }
}
