package io.pageferry.guest.description;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLParser;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A YAML file as a tree of mappings, lists and plain text, read from the parser's events: no tag
 * makes an object of any class, aliases are refused (a few lines of them can stand for gigabytes),
 * and size and depth are bounded.
 */
final class YamlFile {
  static final int MAX_BYTES = 1 << 20;
  private static final int MAX_DEPTH = 8;

  private final Path file;

  YamlFile(Path file) {
    this.file = file;
  }

  YamlNode read() throws DescriptionException {
    String text = text();
    try (YAMLParser parser = new YAMLFactory().createParser(text)) {
      if (parser.nextToken() == null) {
        throw new DescriptionException(file, 0, "the file is empty");
      }
      YamlNode root = node(parser, 0);
      if (parser.nextToken() != null) {
        throw new DescriptionException(
            file, line(parser), "a second YAML document begins; one file describes one guest");
      }
      return root;
    } catch (JsonProcessingException e) {
      int line = e.getLocation() == null ? 0 : Math.max(0, e.getLocation().getLineNr());
      throw new DescriptionException(file, line, "not YAML: " + problem(e.getOriginalMessage()));
    } catch (DescriptionException e) {
      throw e;
    } catch (IOException e) {
      throw new DescriptionException(file, "cannot be read", e);
    }
  }

  private String text() throws DescriptionException {
    byte[] bytes;
    try (InputStream in = Files.newInputStream(file)) {
      bytes = in.readNBytes(MAX_BYTES + 1);
    } catch (NoSuchFileException e) {
      throw new DescriptionException(file, "there is no such file", e);
    } catch (AccessDeniedException e) {
      throw new DescriptionException(file, "no permission to read it", e);
    } catch (IOException e) {
      throw new DescriptionException(file, "cannot be read", e);
    }
    if (bytes.length > MAX_BYTES) {
      throw new DescriptionException(file, 0, "larger than 1 MiB, so it is no guest description");
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new DescriptionException(file, "not UTF-8 text", e);
    }
  }

  private YamlNode node(YAMLParser parser, int depth) throws IOException {
    int line = line(parser);
    if (depth > MAX_DEPTH) {
      throw new DescriptionException(file, line, "nested too deeply");
    }
    if (parser.isCurrentAlias()) {
      throw new DescriptionException(file, line, "aliases (*name) are not supported");
    }
    JsonToken token = parser.currentToken();
    if (token == JsonToken.START_OBJECT) {
      return mapping(parser, depth, line);
    }
    if (token == JsonToken.START_ARRAY) {
      List<YamlNode> items = new ArrayList<>();
      while (next(parser) != JsonToken.END_ARRAY) {
        items.add(node(parser, depth + 1));
      }
      return new YamlNode.Sequence(line, items);
    }
    if (token == JsonToken.VALUE_NULL) {
      return new YamlNode.Scalar(line, "", true);
    }
    return new YamlNode.Scalar(line, parser.getText(), false);
  }

  private YamlNode.Mapping mapping(YAMLParser parser, int depth, int line) throws IOException {
    Map<String, YamlNode.Entry> entries = new LinkedHashMap<>();
    while (next(parser) != JsonToken.END_OBJECT) {
      int keyLine = line(parser);
      String key = parser.currentName();
      next(parser);
      YamlNode value = node(parser, depth + 1);
      if (entries.put(key, new YamlNode.Entry(keyLine, value)) != null) {
        throw new DescriptionException(file, keyLine, "'" + key + "' is said twice");
      }
    }
    return new YamlNode.Mapping(line, entries);
  }

  private JsonToken next(YAMLParser parser) throws IOException {
    JsonToken token = parser.nextToken();
    if (token == null) {
      throw new DescriptionException(file, line(parser), "the file ends too early");
    }
    return token;
  }

  private static int line(YAMLParser parser) {
    return Math.max(0, parser.currentTokenLocation().getLineNr());
  }

  /**
   * The parser says what it was doing, where, and only then what it found instead of what; the
   * places and the text quoted there are indented.
   */
  private static String problem(String message) {
    return message
        .lines()
        .filter(line -> !line.isBlank() && !Character.isWhitespace(line.charAt(0)))
        .reduce((doing, found) -> found)
        .orElse("it cannot be parsed");
  }
}
