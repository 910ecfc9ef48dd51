package io.pageferry.guest.demo;

import io.pageferry.guest.control.QmpJson;
import org.jspecify.annotations.Nullable;

/** Passes on what happens to a machine as QMP events, once there is a server. */
final class MachineEvents implements MachineListener {
  private volatile @Nullable QmpServer server;

  /** From now on whoever is connected there hears of it. */
  void to(QmpServer listening) {
    server = listening;
  }

  @Override
  public void stopped() {
    send("STOP");
  }

  @Override
  public void resumed() {
    send("RESUME");
  }

  @Override
  public void migration(String status) {
    QmpServer to = server;
    if (to != null) {
      to.event("MIGRATION", QmpJson.object().put("status", status));
    }
  }

  private void send(String name) {
    QmpServer to = server;
    if (to != null) {
      to.event(name, QmpJson.object());
    }
  }
}
