package io.pageferry.guest.control;

import io.pageferry.guest.description.ControlDescription;
import io.pageferry.guest.description.GuestDescription;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * Where a guest is controlled, whether one is there at the moment or not. Immutable; any thread.
 */
public sealed interface GuestPlace permits QmpPlace, CommandPlace {
  /** The place that a description names. */
  static GuestPlace of(GuestDescription guest) {
    return of(guest, Map.of());
  }

  /**
   * The place that a description names.
   *
   * @param environment more variables for the user's commands, where the guest is controlled by
   *     such
   */
  static GuestPlace of(GuestDescription guest, Map<String, String> environment) {
    return switch (guest.control()) {
      case ControlDescription.Qmp qmp -> new QmpPlace(qmp.socket(), qmp.timeout());
      case ControlDescription.Commands commands -> new CommandPlace(guest, commands, environment);
    };
  }

  /** Makes a line to the guest, with the timeout of its description. */
  GuestControl connect() throws GuestControlException;

  /**
   * Makes a line to the guest.
   *
   * @param limit for making it and then for each call
   */
  GuestControl connect(Duration limit) throws GuestControlException;

  /**
   * Whether a guest is there. Blocks at most for the timeout of the description.
   *
   * @throws GuestControlException when it cannot be told
   */
  boolean isTaken() throws GuestControlException;

  /** Whether nobody is there, for sure. */
  boolean isDeserted();

  /** How somebody there is asked: the end of a sentence that begins with "answers". */
  String how();

  /**
   * What this control cannot do for a guest that leaves, as the middle of a sentence.
   *
   * @param ended whether the guest is to be ended once it has moved
   */
  Optional<String> objectionToSend(boolean ended);

  /** What this control cannot do for a guest that comes, as the middle of a sentence. */
  Optional<String> objectionToReceive();
}
