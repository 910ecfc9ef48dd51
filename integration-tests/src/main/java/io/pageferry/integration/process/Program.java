package io.pageferry.integration.process;

/**
 * The programs of Pageferry as a user starts them: {@code ./pageferry WORD …}, or the main class
 * with the same arguments without the word. The main class stands here as text because nothing in
 * this module may depend on an agent's classes.
 */
public enum Program {
  /** The demo guest. */
  GUEST("guest", "io.pageferry.guest.demo.DemoGuest"),
  /** The source agent. */
  SOURCE("source", "io.pageferry.source.SourceAgent"),
  /** The target agent. */
  TARGET("target", "io.pageferry.target.TargetAgent"),
  /** Certificates. */
  PKI("pki", "io.pageferry.agent.pki.Pki"),
  /** What this host can do. */
  DOCTOR("doctor", "io.pageferry.agent.doctor.Doctor"),
  /** The demo. */
  DEMO("demo", "io.pageferry.integration.demo.Demo"),
  /** The benchmarks. */
  BENCH("bench", "io.pageferry.integration.bench.Bench");

  private final String word;
  private final String mainClass;

  Program(String word, String mainClass) {
    this.word = word;
    this.mainClass = mainClass;
  }

  /** Its word on the command line. */
  public String word() {
    return word;
  }

  /** Its main class, by name. */
  public String mainClass() {
    return mainClass;
  }
}
