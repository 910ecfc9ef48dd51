package io.pageferry.agent.cli;

import java.net.InetSocketAddress;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * {@code HOST:PORT}, with an IPv6 address in brackets. The host is looked up here; one that is
 * unknown gives an unresolved address, because what that means is the command's to say.
 */
public final class AddressConverter implements ITypeConverter<InetSocketAddress> {
  @Override
  public InetSocketAddress convert(String text) {
    int colon = text.lastIndexOf(':');
    if (colon <= 0 || colon == text.length() - 1) {
      throw malformed(text);
    }
    String host = text.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    } else if (host.indexOf(':') >= 0) {
      throw new TypeConversionException(
          "'" + text + "' is ambiguous: write an IPv6 address as [ADDRESS]:PORT");
    }
    int port;
    try {
      port = Integer.parseInt(text.substring(colon + 1));
    } catch (NumberFormatException e) {
      throw malformed(text);
    }
    if (port < 0 || port > 65535) {
      throw new TypeConversionException("'" + text + "' has no port between 0 and 65535");
    }
    return new InetSocketAddress(host, port);
  }

  /**
   * What {@link #convert} reads as this address again: a name as it was given, an IPv6 address in
   * full.
   */
  public static String text(InetSocketAddress address) {
    return text(address.getHostString(), address.getPort());
  }

  /** The same with the address that a name was found at, where it was. */
  public static String numeric(InetSocketAddress address) {
    return address.getAddress() == null
        ? text(address)
        : text(address.getAddress().getHostAddress(), address.getPort());
  }

  private static String text(String host, int port) {
    return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
  }

  private static TypeConversionException malformed(String text) {
    return new TypeConversionException("'" + text + "' is not HOST:PORT");
  }
}
