/**
 * Pageferry's programs as real processes: started by their command lines, listened to, stopped, and
 * searched for what they leave behind. Nothing here knows a class of either agent.
 */
@NullMarked
package io.pageferry.integration.process;

import org.jspecify.annotations.NullMarked;
