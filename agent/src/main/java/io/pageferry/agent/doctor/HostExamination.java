package io.pageferry.agent.doctor;

import io.pageferry.guest.linux.Feature;
import io.pageferry.guest.linux.KernelFeatures;
import io.pageferry.guest.units.ByteSize;
import io.pageferry.protocol.channel.Transport;
import io.pageferry.protocol.pki.CertificateAuthority;
import io.pageferry.protocol.tls.TlsContexts;
import io.pageferry.protocol.tls.TlsEngineKind;
import io.pageferry.protocol.tls.TlsFiles;
import io.pageferry.protocol.tls.TlsSetupException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Looks at this host as an agent would use it: nothing is taken from a version number that can be
 * tried.
 */
final class HostExamination {
  private static final Path SHARED_MEMORY = Path.of("/dev/shm");

  private HostExamination() {}

  static List<Finding> all() {
    List<Finding> findings = new ArrayList<>(kernel());
    findings.addAll(memory());
    findings.addAll(tls());
    findings.addAll(transports());
    findings.add(jdk());
    return findings;
  }

  /** What the kernel offers this user, and what would let it offer the rest. */
  static List<Finding> kernel() {
    List<Finding> findings = new ArrayList<>();
    for (Feature each : KernelFeatures.probed().all()) {
      findings.add(
          new Finding("kernel", each.name(), each.available(), each.detail(), each.remedy()));
    }
    return findings;
  }

  private static List<Finding> memory() {
    List<Finding> findings = new ArrayList<>();
    try {
      FileStore store = Files.getFileStore(SHARED_MEMORY);
      findings.add(
          new Finding(
              "memory",
              SHARED_MEMORY.toString(),
              store.type().equals("tmpfs"),
              store.type()
                  + ", "
                  + ByteSize.format(store.getUsableSpace())
                  + " free of "
                  + ByteSize.format(store.getTotalSpace()),
              "mount a tmpfs for the guests' images, for example"
                  + " 'mount -t tmpfs -o size=75% tmpfs /dev/shm'"));
    } catch (IOException e) {
      findings.add(
          new Finding(
              "memory",
              SHARED_MEMORY.toString(),
              false,
              "not there",
              "mount a tmpfs for the guests' images and name it in their descriptions"));
    }
    return findings;
  }

  /** Each engine is made to load credentials: a native library can be there and still not work. */
  private static List<Finding> tls() {
    List<Finding> findings = new ArrayList<>();
    Path folder = null;
    try {
      folder = Files.createTempDirectory("pageferry-doctor");
      CertificateAuthority.create(folder, "doctor").issue("doctor", 1);
      TlsFiles files =
          new TlsFiles(
              folder.resolve("doctor.crt"),
              folder.resolve("doctor.key"),
              folder.resolve("ca.crt"),
              folder.resolve("crl.pem"));
      for (TlsEngineKind engine : TlsEngineKind.values()) {
        if (engine != TlsEngineKind.AUTO) {
          findings.add(tls(files, engine));
        }
      }
    } catch (IOException e) {
      findings.add(new Finding("tls", "certificates", false, String.valueOf(e.getMessage()), ""));
    } finally {
      deleteTree(folder);
    }
    return findings;
  }

  private static Finding tls(TlsFiles files, TlsEngineKind engine) {
    String chosen = engine == TlsContexts.resolve(TlsEngineKind.AUTO) ? ", used by default" : "";
    try {
      TlsContexts.client(files, engine);
      return new Finding("tls", engine.optionName(), true, "loads" + chosen, "");
    } catch (TlsSetupException e) {
      return new Finding("tls", engine.optionName(), false, String.valueOf(e.getMessage()), "");
    }
  }

  private static List<Finding> transports() {
    List<Finding> findings = new ArrayList<>();
    Transport chosen = Transport.AUTO.resolve();
    for (Transport transport : Transport.values()) {
      if (transport != Transport.AUTO) {
        boolean loads = transport.available();
        findings.add(
            new Finding(
                "transport",
                transport.optionName(),
                loads,
                (loads ? "loads" : "does not load")
                    + (transport == chosen ? ", used by default" : ""),
                ""));
      }
    }
    return findings;
  }

  private static Finding jdk() {
    return new Finding(
        "java",
        "jdk",
        Runtime.version().feature() >= 25,
        System.getProperty("java.vendor") + " " + Runtime.version(),
        "install a JDK 25 or newer");
  }

  private static void deleteTree(@Nullable Path folder) {
    if (folder == null) {
      return;
    }
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path each : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(each);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot remove " + folder, e);
    }
  }
}
