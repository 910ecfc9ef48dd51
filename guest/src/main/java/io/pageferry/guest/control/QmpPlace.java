package io.pageferry.guest.control;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/** The QMP socket of a guest. */
record QmpPlace(Path socket, Duration timeout) implements GuestPlace {
  @Override
  public GuestControl connect() throws GuestControlException {
    return connect(timeout);
  }

  @Override
  public GuestControl connect(Duration limit) throws GuestControlException {
    return QmpControl.connect(socket, limit);
  }

  @Override
  public boolean isTaken() {
    return !QmpSocket.isDeserted(socket);
  }

  @Override
  public boolean isDeserted() {
    return QmpSocket.isDeserted(socket);
  }

  @Override
  public String how() {
    return "on " + socket;
  }

  @Override
  public Optional<String> objectionToSend(boolean ended) {
    return Optional.empty();
  }

  @Override
  public Optional<String> objectionToReceive() {
    return Optional.empty();
  }
}
