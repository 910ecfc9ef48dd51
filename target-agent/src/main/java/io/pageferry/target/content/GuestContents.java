package io.pageferry.target.content;

import java.util.List;

/**
 * What one arriving guest may find its content in, and where others of its group may find it.
 *
 * <p>Made and ended by the migration's driver; any thread may ask for a search.
 */
public final class GuestContents {
  private final ContentIndex group;
  private final ContentIndex hints;
  private final List<PageFile> regions;

  GuestContents(ContentIndex group, ContentIndex hints, List<PageFile> regions) {
    this.group = group;
    this.hints = hints;
    this.regions = List.copyOf(regions);
  }

  /** For one data channel. */
  public ContentSearch search() {
    return new ContentSearch(group, hints, regions);
  }

  /** The guest is here, with all of its pages. */
  public void arrived() {
    regions.forEach(PageFile::arrived);
  }

  /** The guest does not come. */
  public void gone() {
    group.removeIf(regions::contains);
  }
}
