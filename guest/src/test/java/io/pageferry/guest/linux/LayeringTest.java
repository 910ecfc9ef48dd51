package io.pageferry.guest.linux;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;

@AnalyzeClasses(packages = "io.pageferry", importOptions = DoNotIncludeTests.class)
class LayeringTest {
  @ArchTest
  static final ArchRule FOREIGN_CALLS_IN_ONE_PLACE =
      noClasses()
          .that()
          .resideOutsideOfPackage("io.pageferry.guest.linux")
          .should()
          .dependOnClassesThat()
          .areAssignableTo(Linker.class)
          .orShould()
          .dependOnClassesThat()
          .areAssignableTo(SymbolLookup.class);

  @ArchTest
  static final ArchRule THE_GUEST_KNOWS_NO_WIRE =
      noClasses()
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("io.pageferry.protocol..", "io.netty..");

  @ArchTest
  static final ArchRule PACKAGES_HAVE_NO_CYCLES =
      slices().matching("io.pageferry.guest.(*)..").should().beFreeOfCycles();
}
