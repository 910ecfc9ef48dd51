package io.pageferry.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.pageferry.guest.linux.KernelFeatures;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(180)
class DoctorTest {
  private int exit;

  private String doctor(String... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    PrintStream real = System.out;
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    try {
      exit = Doctor.run(args);
    } finally {
      System.setOut(real);
    }
    return out.toString(StandardCharsets.UTF_8);
  }

  @Test
  void itSaysWhatThisHostCanDo() {
    String text = doctor();
    assertThat(text).contains("kernel\n", "tls\n", "transport\n", "java\n", "/dev/shm");
    assertThat(text).containsPattern("yes +nio +loads").containsPattern("yes +jdk ");
    assertThat(exit).isEqualTo(KernelFeatures.probed().has(KernelFeatures.WRITE_TRACKING) ? 0 : 1);
  }

  @Test
  void theSameAsJson() throws Exception {
    JsonNode json = new ObjectMapper().readTree(doctor("--json"));
    assertThat(json.get("kernelTracking").booleanValue()).isEqualTo(exit == 0);
    assertThat(json.get("summary").textValue()).isNotBlank();
    assertThat(json.get("findings").findValuesAsText("area"))
        .contains("kernel", "memory", "tls", "transport", "java");
  }

  @Test
  void aKernelThatCannotTrackIsTheVerdictAndTheFallbackIsNamed() {
    KernelFeatures without = KernelFeatures.probe(Set.of(KernelFeatures.WRITE_TRACKING), Set.of());
    Diagnosis diagnosis = Diagnosis.of(without);
    assertThat(diagnosis.kernelTracking()).isFalse();
    assertThat(diagnosis.sentence()).contains("--tracking digest");
  }

  @Test
  void beingUnableToLookAtOthersIsMentioned() {
    KernelFeatures features =
        KernelFeatures.probe(
            Set.of(KernelFeatures.PAGEMAP_OF_OTHERS), Set.of(KernelFeatures.WRITE_TRACKING));
    assertThat(Diagnosis.of(features).kernelTracking()).isTrue();
    assertThat(Diagnosis.of(features).sentence()).contains("same user");
  }
}
