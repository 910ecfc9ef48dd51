package io.pageferry.agent.doctor;

/**
 * One thing that was looked at.
 *
 * @param area heading, for example {@code kernel}
 * @param name what was looked at
 * @param ok whether it is there
 * @param detail what was found
 * @param remedy what to grant or to install; empty if nothing is needed or helps
 */
public record Finding(String area, String name, boolean ok, String detail, String remedy) {}
