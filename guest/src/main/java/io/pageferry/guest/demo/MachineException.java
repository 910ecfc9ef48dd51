package io.pageferry.guest.demo;

/** The machine cannot do what was asked; the message goes to whoever asked. */
final class MachineException extends Exception {
  private static final long serialVersionUID = 1L;

  MachineException(String sentence) {
    super(sentence);
  }

  MachineException(String sentence, Throwable cause) {
    super(sentence, cause);
  }
}
