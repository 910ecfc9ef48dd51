package io.pageferry.guest.control;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * Something the guest said unasked.
 *
 * @param name {@code STOP}, {@code RESUME}, {@code MIGRATION}, {@code SHUTDOWN}, …
 * @param data its details, an empty object where there are none
 */
public record QmpEvent(String name, JsonNode data) {}
