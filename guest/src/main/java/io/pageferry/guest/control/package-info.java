/**
 * Steering a guest over QMP: pause, continue, save and load device state. One implementation drives
 * QEMU and the demo guest, which answers the same few commands.
 */
@NullMarked
package io.pageferry.guest.control;

import org.jspecify.annotations.NullMarked;
