package io.pageferry.target.content;

/** Which guests' memory a source may have its pages found in. */
public enum Sharing {
  /** That of the guest itself only. */
  NONE,
  /** That of all guests that came from the same agent, by its certificate's name. */
  SENDER,
  /** That of all guests that came here. */
  ALL
}
