/**
 * Framed channels between two agents over TCP, plain or in TLS 1.3: back pressure, keep-alive, and
 * one sentence that says why a channel ended.
 */
@NullMarked
package io.pageferry.protocol.channel;

import org.jspecify.annotations.NullMarked;
