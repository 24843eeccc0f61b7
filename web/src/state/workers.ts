/**
 * The Workers of the page. The policy of the document lets scripts begin at addresses only that a named policy made
 * (Trusted Types), and this one makes those of the two that the build knows.
 */
interface Policy {
  createScriptURL(address: string): string;
}
interface PolicyFactory {
  createPolicy(name: string, rules: Policy): Policy;
}

/** Its name stands in the document's policy (`trusted-types`). */
const NAME = "runstream";
const KNOWN = [CURVES_WORKER, LIVE_WORKER];

function checked(address: string): string {
  if (KNOWN.includes(address)) return address;
  throw new TypeError(`no script of the page: ${address}`);
}

const { trustedTypes } = globalThis as { readonly trustedTypes?: PolicyFactory };
const policy: Policy = trustedTypes?.createPolicy(NAME, { createScriptURL: checked }) ?? { createScriptURL: checked };

/** Start the Worker that paints curves. */
export function curvesWorker(): Worker {
  return new Worker(policy.createScriptURL(CURVES_WORKER), { type: "module", name: "runstream curves" });
}

/** Connect to the Worker that holds the live stream of all tabs; null where the browser has no such Workers. */
export function livePort(): MessagePort | null {
  if (typeof SharedWorker === "undefined") return null;
  return new SharedWorker(policy.createScriptURL(LIVE_WORKER), { type: "module", name: "runstream live" }).port;
}
