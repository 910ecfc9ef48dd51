package io.pageferry.guest.handover;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import io.pageferry.guest.handover.HandoverException.Problem;
import io.pageferry.guest.linux.Descriptor;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.LinuxFile;
import io.pageferry.guest.linux.MemoryMapping;
import io.pageferry.guest.linux.UnixConnection;
import io.pageferry.guest.linux.Userfaultfd;
import io.pageferry.guest.linux.Userfaultfd.Watch;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real sockets, real descriptors; both ends in this process. */
class HandoverListenerTest {
  private static final Duration SOON = Duration.ofMillis(300);
  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final byte[] MESSAGE =
      "[{\"base_host_virt_addr\":4096,\"size\":4096,\"offset\":0,\"page_size\":4096}]"
          .getBytes(StandardCharsets.UTF_8);

  @TempDir private Path folder;

  private Path socket() {
    return folder.resolve("handover.sock");
  }

  private static Problem refusal(HandoverListener listener, Duration timeout) {
    return Objects.requireNonNull(
            catchThrowableOfType(HandoverException.class, () -> listener.accept(timeout)))
        .problem();
  }

  @SuppressWarnings("try") // closing early is what is tested
  private Problem refusalOf(byte[] bytes, int descriptors, boolean thenClose) throws IOException {
    try (HandoverListener listener = HandoverListener.bind(socket());
        Userfaultfd first = Userfaultfd.open();
        Userfaultfd second = Userfaultfd.open();
        UnixConnection guest = UnixConnection.connect(socket())) {
      List<Descriptor> all = List.of(first.descriptor(), second.descriptor());
      guest.send(bytes, all.subList(0, descriptors), TIMEOUT);
      if (thenClose) {
        guest.close();
      }
      long before = openDescriptors();
      Problem problem = refusal(listener, thenClose ? TIMEOUT : SOON);
      assertThat(openDescriptors()).isLessThanOrEqualTo(before);
      return problem;
    }
  }

  private static long openDescriptors() throws IOException {
    try (var open = Files.list(Path.of("/proc/self/fd"))) {
      return open.count();
    }
  }

  @Test
  void onlyTheOwnerMayConnectAndTheNameGoesAway() throws Exception {
    try (HandoverListener listener = HandoverListener.bind(socket())) {
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket())))
          .isEqualTo("rw-------");
      assertThat(refusal(listener, SOON)).isEqualTo(Problem.NOBODY_CAME);
    }
    assertThat(socket()).doesNotExist();
  }

  @Test
  void aSilentGuestAnEarlyEndAndAShortMessageAreToldApart() throws Exception {
    try (HandoverListener listener = HandoverListener.bind(socket());
        UnixConnection silent = UnixConnection.connect(socket())) {
      assertThat(refusal(listener, SOON)).isEqualTo(Problem.EMPTY);
      assertThat(silent.isAtEnd()).isTrue();
    }
    byte[] part =
        new String(MESSAGE, StandardCharsets.UTF_8)
            .substring(0, 30)
            .getBytes(StandardCharsets.UTF_8);
    assertThat(refusalOf(part, 1, false)).isEqualTo(Problem.TRUNCATED);
    assertThat(refusalOf(part, 1, true)).isEqualTo(Problem.TRUNCATED);
  }

  @Test
  void noDescriptorOrTwoAreRefusedAndNoneIsKept() throws Exception {
    assertThat(refusalOf(MESSAGE, 0, false)).isEqualTo(Problem.NO_DESCRIPTOR);
    assertThat(refusalOf(MESSAGE, 2, false)).isEqualTo(Problem.SEVERAL_DESCRIPTORS);
    assertThat(refusalOf("[7]".getBytes(StandardCharsets.UTF_8), 1, false))
        .isEqualTo(Problem.MALFORMED);
  }

  @Test
  @SuppressWarnings("try") // closing early is what is tested
  void aMessageInPiecesIsPutTogetherAndTheEndOfTheGuestIsSeen() throws Exception {
    try (HandoverListener listener = HandoverListener.bind(socket());
        Userfaultfd userfaultfd = Userfaultfd.open();
        UnixConnection guest = UnixConnection.connect(socket())) {
      Thread sender =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      List<Descriptor> first = List.of(userfaultfd.descriptor());
                      for (int i = 0; i < MESSAGE.length; i++) {
                        byte[] one = {MESSAGE[i]};
                        guest.send(one, i == 0 ? first : List.of(), TIMEOUT);
                      }
                    } catch (IOException e) {
                      throw new IllegalStateException(e);
                    }
                  });
      try (GuestHandover handover = listener.accept(TIMEOUT)) {
        sender.join();
        assertThat(handover.pid()).isEqualTo((int) ProcessHandle.current().pid());
        assertThat(handover.regions()).containsExactly(new MappedRegion(4096, 4096, 0, 4096));
        assertThat(handover.guestGone()).isFalse();
        guest.close();
        await().atMost(TIMEOUT).until(handover::guestGone);
      }
    }
  }

  /** Whether what the guest registered is free again after its handover was refused. */
  private boolean freeAfterRefusal(boolean first) throws Exception {
    try (HandoverListener listener = HandoverListener.bind(socket());
        LinuxFile file = LinuxFile.inMemory("guest");
        Userfaultfd sent = Userfaultfd.open();
        Userfaultfd stray = Userfaultfd.open();
        Userfaultfd probe = Userfaultfd.open()) {
      file.setSize(1 << 20);
      try (MemoryMapping memory = file.map(1 << 20, true);
          UnixConnection guest = UnixConnection.connect(socket())) {
        sent.enable(Userfaultfd.missingFeatures(false));
        sent.register(memory.address(), memory.bytes(), Watch.MISSING);
        byte[] message =
            new HandoverMessage(
                    List.of(new MappedRegion(memory.address(), memory.bytes(), 0, 4096)))
                .encode();
        guest.send(message, List.of(sent.descriptor(), stray.descriptor()), TIMEOUT);
        HandoverException refused =
            Objects.requireNonNull(
                catchThrowableOfType(
                    HandoverException.class,
                    () -> {
                      if (first) {
                        listener.accept(TIMEOUT);
                      } else {
                        listener.acceptAgain(TIMEOUT);
                      }
                    }));
        assertThat(refused.problem()).isEqualTo(Problem.SEVERAL_DESCRIPTORS);
        probe.enable(Userfaultfd.missingFeatures(false));
        try {
          probe.register(memory.address(), memory.bytes(), Watch.MISSING);
          return true;
        } catch (LinuxException busy) {
          assertThat(busy.errno()).isEqualTo(Errno.EBUSY);
          return false;
        }
      }
    }
  }

  @Test
  void aRefusedHandoverIsTakenOffTheMemoryUnlessItWasServedBefore() throws Exception {
    assertThat(freeAfterRefusal(true)).isTrue();
    assertThat(freeAfterRefusal(false)).isFalse();
  }

  @Test
  void waitingEndsWhenTheThreadIsInterrupted() throws Exception {
    try (HandoverListener listener = HandoverListener.bind(socket())) {
      Thread.currentThread().interrupt();
      assertThat(catchThrowableOfType(InterruptedIOException.class, () -> listener.accept(TIMEOUT)))
          .isNotNull();
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void theGuestTakesTheProtectionOffWhenTheAgentCloses() throws Exception {
    try (HandoverListener listener = HandoverListener.bind(socket());
        LinuxFile file = LinuxFile.inMemory("guest")) {
      file.setSize(1 << 20);
      try (MemoryMapping memory = file.map(1 << 20, true)) {
        List<MappedRegion> regions =
            List.of(new MappedRegion(memory.address(), memory.bytes(), 0, 4096));
        try (GuestSideHandover guest =
            GuestSideHandover.start(socket(), HandoverMode.WRITE_PROTECT, regions)) {
          try (GuestHandover agent = listener.accept(TIMEOUT)) {
            assertThat(agent.regions()).isEqualTo(regions);
            assertThat(guest.active()).isTrue();
          }
          await().atMost(TIMEOUT).until(() -> !guest.active());
        }
        // Registered by the first, the range would be busy for the second.
        try (GuestSideHandover again =
                GuestSideHandover.start(socket(), HandoverMode.MISSING, regions);
            GuestHandover agent = listener.accept(TIMEOUT)) {
          assertThat(agent.regions()).isEqualTo(regions);
          assertThat(again.active()).isTrue();
        }
      }
    }
  }
}
