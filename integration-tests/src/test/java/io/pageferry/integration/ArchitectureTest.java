package io.pageferry.integration;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/**
 * Demo, benchmarks and tests know the agents by their command line only; the modules keep apart.
 */
@AnalyzeClasses(packages = "io.pageferry")
final class ArchitectureTest {
  @ArchTest
  static final ArchRule NOTHING_HERE_USES_AN_AGENTS_CLASSES =
      noClasses()
          .that()
          .resideInAPackage("io.pageferry.integration..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("io.pageferry.source..", "io.pageferry.target..");

  @ArchTest
  static final ArchRule THE_AGENTS_NEVER_SEE_EACH_OTHER =
      noClasses()
          .that()
          .resideInAPackage("io.pageferry.source..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.pageferry.target..");

  @ArchTest
  static final ArchRule NOR_THE_OTHER_WAY_ROUND =
      noClasses()
          .that()
          .resideInAPackage("io.pageferry.target..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.pageferry.source..");

  @ArchTest
  static final ArchRule PROTOCOL_KNOWS_NO_GUEST =
      noClasses()
          .that()
          .resideInAPackage("io.pageferry.protocol..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("io.pageferry.guest..", "io.pageferry.agent..");

  @ArchTest
  static final ArchRule GUEST_KNOWS_NO_WIRE =
      noClasses()
          .that()
          .resideInAPackage("io.pageferry.guest..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("io.pageferry.protocol..", "io.pageferry.agent..", "io.netty..");

  @ArchTest
  static final ArchRule NOTHING_DEPENDS_ON_THE_HARNESS =
      noClasses()
          .that()
          .resideOutsideOfPackage("io.pageferry.integration..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.pageferry.integration..");
}
