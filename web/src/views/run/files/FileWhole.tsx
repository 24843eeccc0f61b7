import { type Asset, textOfAsset } from "../../../data/assets.ts";
import { isPatch, kindOf } from "../../../data/media.ts";
import { messageOf } from "../../../data/problem.ts";
import { useLoaded } from "../../../state/loading.ts";
import { useServices } from "../../../state/services.ts";
import { Copy } from "../../../ui/Copy.tsx";
import { Notice } from "../../../ui/Notice.tsx";
import { Patch } from "../../../ui/Patch.tsx";
import { Shown } from "../media/Shown.tsx";

interface FileWholeProps {
  readonly asset: Asset;
  readonly onClose: () => void;
}

const PATCH_BYTES = 2_000_000;

/** One file below the list: itself if it can be shown, its hash, and what was logged about it. */
export function FileWhole({ asset, onClose }: FileWholeProps) {
  const kind = kindOf(asset);
  const metadata = JSON.stringify(asset.metadata, null, 2);
  return (
    <section class="file-whole" aria-label={asset.name}>
      <div class="section-head">
        <h2 class="ellipsis">{asset.name}</h2>
        <Copy label="Copy SHA-256" title={asset.sha256} text={() => asset.sha256} />
        <button type="button" class="quiet" onClick={onClose}>
          Close
        </button>
      </div>
      {asset.location === null ? null : (
        <p>
          Its bytes are elsewhere: <code>{asset.location}</code>
        </p>
      )}
      {metadata === "{}" ? null : <pre tabIndex={0}>{metadata}</pre>}
      {isPatch(asset) ? <PatchOf asset={asset} /> : kind === null ? null : <Shown asset={asset} kind={kind} />}
      {kind === null && asset.location === null ? <p class="soft">The page cannot show {asset.content_type}.</p> : null}
    </section>
  );
}

/** A file that is a patch, read and shown. */
export function PatchOf({ asset }: { readonly asset: Asset }) {
  const { client } = useServices();
  const loaded = useLoaded((signal) => textOfAsset(client, asset, PATCH_BYTES, signal), asset.sha256);
  const error = loaded.error.value;
  const part = loaded.value.value;
  if (part === null) return error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>;
  return <Patch text={part.text} label={asset.name} />;
}
