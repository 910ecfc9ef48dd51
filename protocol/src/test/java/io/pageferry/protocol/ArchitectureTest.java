package io.pageferry.protocol;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** The wire knows nothing of guests, of the agents, or of the operating system. */
@AnalyzeClasses(
    packages = "io.pageferry.protocol",
    importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {
  @ArchTest
  static final ArchRule knowsNoOtherModule =
      noClasses()
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "io.pageferry.guest..",
              "io.pageferry.agent..",
              "io.pageferry.source..",
              "io.pageferry.target..",
              "io.pageferry.integration..");

  @ArchTest
  static final ArchRule makesNoForeignCall =
      noClasses()
          .should()
          .dependOnClassesThat()
          .haveFullyQualifiedName("java.lang.foreign.Linker")
          .orShould()
          .dependOnClassesThat()
          .haveFullyQualifiedName("java.lang.foreign.SymbolLookup");

  @ArchTest
  static final ArchRule theConversationDoesNoInputOrOutput =
      noClasses()
          .that()
          .resideInAPackage("io.pageferry.protocol.conversation..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "io.netty..", "java.net..", "java.nio..", "io.pageferry.protocol.channel..");

  @ArchTest
  static final ArchRule framesMessagesAndPagesKnowNoTransport =
      noClasses()
          .that()
          .resideInAnyPackage(
              "io.pageferry.protocol.frame..",
              "io.pageferry.protocol.message..",
              "io.pageferry.protocol.page..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "io.pageferry.protocol.channel..",
              "io.pageferry.protocol.tls..",
              "io.pageferry.protocol.pki..");
}
