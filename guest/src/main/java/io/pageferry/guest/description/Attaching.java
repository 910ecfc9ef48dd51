package io.pageferry.guest.description;

/** Whether a guest's memory is reached by attaching to its process, as a debugger does. */
public enum Attaching {
  /** Where the guest does not hand its memory over when it is asked. */
  AUTO,
  /** At once, without asking the guest. */
  ALWAYS,
  /** Never. */
  NEVER
}
