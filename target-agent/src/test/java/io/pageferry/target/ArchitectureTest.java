package io.pageferry.target;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** Who knows whom in the target agent. */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("io.pageferry.target");

  @Test
  void theTargetKnowsNothingOfTheSource() {
    noClasses()
        .that()
        .resideInAPackage("io.pageferry.target..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.pageferry.source..")
        .check(CLASSES);
  }

  @Test
  void thePackagesBelowHaveNoCycles() {
    slices().matching("io.pageferry.target.(*)..").should().beFreeOfCycles().check(CLASSES);
  }
}
