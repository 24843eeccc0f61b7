/** The SharedWorker that holds the one live stream of all tabs. */
import { Hub } from "./hub.ts";
import type { ToHub } from "./messages.ts";
import { openStream } from "./opening.ts";
import { EventParser } from "./sse.ts";

const hub = new Hub(openStream, () => new EventParser());

addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0];
  if (port === undefined) return;
  port.onmessage = (message: MessageEvent<ToHub>) => hub.receive(port, message.data);
});
