package io.pageferry.agent.local;

/** What an agent does with a request; called on the control socket's own thread. */
@FunctionalInterface
public interface ControlHandler {
  ControlReply handle(ControlRequest request) throws Exception;
}
