import { type ReadonlySignal, useSignal } from "@preact/signals";

import { messageOf } from "../data/problem.ts";
import { addressesOf, type FileRef } from "../data/tickets.ts";
import { useServices } from "../state/services.ts";

interface Downloading {
  /** Have the browser keep a file under the last part of its name. */
  readonly download: (file: FileRef, name: string) => Promise<void>;
  /** Why the last one did not work; null: it did. */
  readonly failed: ReadonlySignal<string | null>;
}

/** Downloads of files by addresses that need no key. */
export function useDownload(): Downloading {
  const { client } = useServices();
  const failed = useSignal<string | null>(null);
  const download = async (file: FileRef, name: string) => {
    try {
      const address = await addressesOf(client).of(file);
      failed.value = address === null ? `The bytes of ${name} are not on the server.` : null;
      if (address !== null) saveAs(address, name);
    } catch (error) {
      failed.value = messageOf(error);
    }
  };
  return { download, failed };
}

function saveAs(address: string, name: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name.split("/").at(-1) ?? "file";
  link.click();
}
