package io.pageferry.guest.handover;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import io.pageferry.guest.handover.HandoverException.Problem;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Firecracker's message about a guest's memory: a JSON array in UTF-8, one object a region, in the
 * order of the guest's memory.
 *
 * <pre>{@code
 * [{"base_host_virt_addr":140000000000000,"size":268435456,"offset":0,"page_size":4096}]
 * }</pre>
 *
 * <p>All numbers are bytes. {@code page_size} came with Firecracker 1.12; {@code page_size_kib} is
 * its predecessor and, despite its name, holds bytes too; without either a page has 4096. What else
 * an object may contain is ignored. Format: Firecracker,
 * docs/snapshotting/handling-page-faults-on-snapshot-resume.md.
 *
 * @param regions at least one; aligned, and disjoint both as addresses and as offsets
 */
public record HandoverMessage(List<MappedRegion> regions) {
  /** The longest message that is read; a region takes about 120 bytes. */
  public static final int MAX_BYTES = 256 << 10;

  static final int MAX_REGIONS = 1024;

  private static final int DEFAULT_PAGE = 4096;
  private static final int LARGEST_PAGE = 1 << 30;

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(16)
                  .maxNumberLength(64)
                  .maxStringLength(4096)
                  .maxNameLength(256)
                  .build())
          .build();

  public HandoverMessage {
    regions = List.copyOf(regions);
  }

  /** The message as it is sent. */
  public byte[] encode() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = JSON.createGenerator(bytes)) {
      json.writeStartArray();
      for (MappedRegion region : regions) {
        json.writeStartObject();
        json.writeNumberField("base_host_virt_addr", region.baseHostVirtAddr());
        json.writeNumberField("size", region.size());
        json.writeNumberField("offset", region.offset());
        json.writeNumberField("page_size", region.pageSize());
        json.writeEndObject();
      }
      json.writeEndArray();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  /**
   * Reads a message and checks every number in it.
   *
   * @throws HandoverException which says in one sentence what is wrong; {@link Problem#TRUNCATED}
   *     if more bytes could make it whole
   */
  public static HandoverMessage decode(byte[] bytes) throws HandoverException {
    if (bytes.length == 0) {
      throw new HandoverException(Problem.EMPTY, "the guest sent an empty handover message");
    }
    if (bytes.length > MAX_BYTES) {
      throw new HandoverException(
          Problem.TOO_LARGE, "the handover message is longer than " + MAX_BYTES + " bytes");
    }
    List<MappedRegion> regions;
    try (JsonParser json = JSON.createParser(bytes)) {
      regions = array(json);
    } catch (JsonEOFException e) {
      throw new HandoverException(Problem.TRUNCATED, "the handover message breaks off", e);
    } catch (HandoverException e) {
      throw e;
    } catch (StreamConstraintsException e) {
      throw new HandoverException(
          Problem.MALFORMED, "the handover message is nested or written in an absurd way", e);
    } catch (JsonParseException e) {
      // Between a name and its colon the parser calls an end of input an unexpected character.
      JsonLocation at = e.getLocation();
      boolean beganAsList =
          new String(bytes, StandardCharsets.UTF_8).stripLeading().startsWith("[");
      if (beganAsList && at != null && at.getByteOffset() >= bytes.length) {
        throw new HandoverException(Problem.TRUNCATED, "the handover message breaks off", e);
      }
      throw notJson(e);
    } catch (IOException e) {
      throw notJson(e);
    }
    requireDisjoint(regions, MappedRegion::baseHostVirtAddr, "addresses");
    requireDisjoint(regions, MappedRegion::offset, "offsets");
    return new HandoverMessage(regions);
  }

  private static List<MappedRegion> array(JsonParser json) throws IOException {
    JsonToken first = json.nextToken();
    if (first == null) {
      throw new HandoverException(Problem.EMPTY, "the guest sent an empty handover message");
    }
    if (first != JsonToken.START_ARRAY) {
      throw malformed("it is not a list");
    }
    List<MappedRegion> regions = new ArrayList<>();
    for (JsonToken token = json.nextToken();
        token != JsonToken.END_ARRAY;
        token = json.nextToken()) {
      if (token == null) {
        throw new HandoverException(Problem.TRUNCATED, "the handover message breaks off");
      }
      if (token != JsonToken.START_OBJECT) {
        throw malformed("a region is not an object");
      }
      if (regions.size() == MAX_REGIONS) {
        throw new HandoverException(
            Problem.TOO_LARGE, "the handover message has more than " + MAX_REGIONS + " regions");
      }
      regions.add(region(json));
    }
    if (json.nextToken() != null) {
      throw malformed("something follows the list");
    }
    if (regions.isEmpty()) {
      throw malformed("it lists no region");
    }
    return regions;
  }

  private static MappedRegion region(JsonParser json) throws IOException {
    Long base = null;
    Long size = null;
    Long offset = null;
    Long page = null;
    Long pageByOldName = null;
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String name = json.currentName();
      json.nextToken();
      switch (name) {
        case "base_host_virt_addr" -> base = once(base, json, name);
        case "size" -> size = once(size, json, name);
        case "offset" -> offset = once(offset, json, name);
        case "page_size" -> page = once(page, json, name);
        case "page_size_kib" -> pageByOldName = once(pageByOldName, json, name);
        default -> json.skipChildren();
      }
    }
    if (json.currentToken() != JsonToken.END_OBJECT) {
      throw new HandoverException(Problem.TRUNCATED, "the handover message breaks off");
    }
    if (base == null || size == null || offset == null) {
      throw malformed("a region lacks its address, size or offset");
    }
    long pageSize = page != null ? page : pageByOldName != null ? pageByOldName : DEFAULT_PAGE;
    return checked(base, size, offset, pageSize);
  }

  private static Long once(@Nullable Long before, JsonParser json, String name) throws IOException {
    if (before != null) {
      throw malformed(name + " is there twice");
    }
    if (json.currentToken() == null) {
      throw new HandoverException(Problem.TRUNCATED, "the handover message breaks off");
    }
    if (json.currentToken() != JsonToken.VALUE_NUMBER_INT) {
      throw malformed(name + " is not a whole number");
    }
    // Addresses of user space and sizes of guests are far below 2^63.
    JsonParser.NumberType type = json.getNumberType();
    if (type == JsonParser.NumberType.BIG_INTEGER || json.getLongValue() < 0) {
      throw malformed(name + " is out of range");
    }
    return json.getLongValue();
  }

  private static MappedRegion checked(long base, long size, long offset, long pageSize)
      throws HandoverException {
    if (pageSize < DEFAULT_PAGE || pageSize > LARGEST_PAGE || Long.bitCount(pageSize) != 1) {
      throw malformed(pageSize + " is not a page size");
    }
    if (size == 0) {
      throw malformed("a region is empty");
    }
    if (base + size < 0 || offset + size < 0) {
      throw malformed("a region reaches beyond the address space");
    }
    if (((base | size | offset) & (pageSize - 1)) != 0) {
      throw new HandoverException(
          Problem.UNALIGNED,
          ("the handed-over region at 0x%x, %d bytes, offset %d, is not aligned to its pages of %d"
                  + " bytes")
              .formatted(base, size, offset, pageSize));
    }
    return new MappedRegion(base, size, offset, (int) pageSize);
  }

  private static void requireDisjoint(
      List<MappedRegion> regions, ToLongFunction<MappedRegion> start, String what)
      throws HandoverException {
    List<MappedRegion> sorted = regions.stream().sorted(Comparator.comparingLong(start)).toList();
    for (int i = 1; i < sorted.size(); i++) {
      MappedRegion before = sorted.get(i - 1);
      if (start.applyAsLong(before) + before.size() > start.applyAsLong(sorted.get(i))) {
        throw new HandoverException(
            Problem.OVERLAPPING, "the " + what + " of two handed-over regions overlap");
      }
    }
  }

  private static HandoverException notJson(IOException cause) {
    return new HandoverException(
        Problem.MALFORMED, "the handover message is not the JSON of a list of regions", cause);
  }

  private static HandoverException malformed(String what) {
    return new HandoverException(Problem.MALFORMED, "the handover message is malformed: " + what);
  }
}
