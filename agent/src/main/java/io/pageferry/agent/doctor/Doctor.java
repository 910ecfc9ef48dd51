package io.pageferry.agent.doctor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.pageferry.agent.cli.AgentCommandLine;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.guest.linux.KernelFeatures;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code pageferry doctor}. */
@Command(
    name = "pageferry doctor",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    description = "Says what this host can do, and what to grant where it cannot.",
    footer = {
      "",
      "Exit code: 0 if guests can be moved with the kernel telling which pages they write, else 1."
    })
public final class Doctor implements Callable<ExitCode> {
  @Spec private @Nullable CommandSpec spec;

  @SuppressWarnings("UnusedVariable") // AgentCommandLine finds it among the mixins
  @Mixin
  private LoggingOptions logging = new LoggingOptions();

  @Option(names = "--json", description = "Print the findings as JSON.")
  private boolean json;

  private Doctor() {}

  public static void main(String[] args) {
    AgentCommandLine.main(new Doctor(), args);
  }

  /** For tests: the same without ending the process. */
  static int run(String... args) {
    return AgentCommandLine.run(new Doctor(), args);
  }

  @Override
  public ExitCode call() throws JsonProcessingException {
    List<Finding> findings = HostExamination.all();
    Diagnosis diagnosis = Diagnosis.of(KernelFeatures.probed());
    if (spec == null) {
      throw new IllegalStateException("not run by picocli");
    }
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      Map<String, Object> whole = new LinkedHashMap<>();
      whole.put("kernelTracking", diagnosis.kernelTracking());
      whole.put("summary", diagnosis.sentence());
      whole.put("findings", findings);
      out.println(
          new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(whole));
    } else {
      print(findings, diagnosis, out);
    }
    out.flush();
    return diagnosis.kernelTracking() ? ExitCode.DONE : ExitCode.FAILED;
  }

  private static void print(List<Finding> findings, Diagnosis diagnosis, PrintWriter out) {
    int width = findings.stream().mapToInt(each -> each.name().length()).max().orElse(0);
    String area = "";
    for (Finding each : findings) {
      if (!each.area().equals(area)) {
        area = each.area();
        out.println(area);
      }
      out.println(
          (each.ok() ? "  yes  " : "  no   ")
              + each.name()
              + " ".repeat(width - each.name().length())
              + "  "
              + each.detail());
      if (!each.ok() && !each.remedy().isEmpty()) {
        out.println(" ".repeat(9 + width) + "-> " + each.remedy());
      }
    }
    out.println();
    out.println(diagnosis.sentence());
  }
}
