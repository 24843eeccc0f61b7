import { addressesOf, type FileRef } from "../data/tickets.ts";
import { useLoaded } from "./loading.ts";
import { useServices } from "./services.ts";

/** The address of a file for an element that sends no key; null while it is not known, or where there is none. */
export function useFileAddress(file: FileRef): string | null {
  const { client } = useServices();
  return useLoaded(() => addressesOf(client).of(file), JSON.stringify(file)).value.value;
}
