package io.pageferry.guest.linux;

/**
 * One thing that this kernel, as it is set up for this process, can do or cannot.
 *
 * @param name short and stable, for example {@code pagemap-scan}
 * @param available whether it can be used
 * @param detail what was found, in words
 * @param remedy what to do when it is missing, in words; empty when nothing needs to be done
 */
public record Feature(String name, boolean available, String detail, String remedy) {}
