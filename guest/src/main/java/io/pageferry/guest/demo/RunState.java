package io.pageferry.guest.demo;

import java.util.Locale;

/** What the guest is doing, as QMP names it. */
enum RunState {
  /** It executes. */
  RUNNING,
  /** It was stopped, or its state arrived and it waits for {@code cont}. */
  PAUSED,
  /** It waits for {@code migrate-incoming}, or for that to end. */
  INMIGRATE,
  /** Its state is being saved. */
  FINISH_MIGRATE,
  /** Its state was saved; {@code cont} still works. */
  POSTMIGRATE,
  /** Its processor stopped because memory could not be read or written; it never runs again. */
  INTERNAL_ERROR;

  String word() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
