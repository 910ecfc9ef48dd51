package io.pageferry.agent.local;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One line to an agent.
 *
 * @param command {@link #STATUS}, {@link #CANCEL} or {@link #POSTCOPY}
 * @param migration the migration it is about; null for all
 */
@JsonIgnoreProperties(ignoreUnknown = true)
public record ControlRequest(String command, @Nullable UUID migration) {
  public static final String STATUS = "status";
  public static final String CANCEL = "cancel";

  /** To a source: let the guest move now and its missing pages follow. */
  public static final String POSTCOPY = "postcopy";

  public static ControlRequest status() {
    return new ControlRequest(STATUS, null);
  }

  public static ControlRequest cancel(@Nullable UUID migration) {
    return new ControlRequest(CANCEL, migration);
  }

  public static ControlRequest postcopy(@Nullable UUID migration) {
    return new ControlRequest(POSTCOPY, migration);
  }
}
