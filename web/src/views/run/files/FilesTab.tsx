import { type Asset, assetsOf } from "../../../data/assets.ts";
import { isPatch } from "../../../data/media.ts";
import { messageOf } from "../../../data/problem.ts";
import { textOfBytes, textOfCount, textOfMoment } from "../../../data/values.ts";
import { useLoaded } from "../../../state/loading.ts";
import { useServices } from "../../../state/services.ts";
import { useDownload } from "../../../ui/downloading.ts";
import { Notice } from "../../../ui/Notice.tsx";
import { Table, type TableColumn } from "../../../ui/Table.tsx";
import { firstWidth } from "../../../ui/windows.ts";
import { useRun } from "../context.ts";
import { FindField } from "../FindField.tsx";
import { FileWhole } from "./FileWhole.tsx";
import { type FileColumn, nextSort, sorted } from "./order.ts";

/** All files of the run with their sizes; a click shows one, if it can be shown. */
export function FilesTab() {
  const { client } = useServices();
  const { run, when, everyMs, state } = useRun();
  const { download, failed } = useDownload();
  const key = JSON.stringify([run, when]);
  const loaded = useLoaded((signal) => assetsOf(client, run, when, signal), key, everyMs);
  const assets = loaded.value.value;
  const error = loaded.error.value;
  const find = state.find.value.trim().toLowerCase();
  const sort = state.sort.value;
  const rows = sorted((assets ?? []).filter((asset) => isFound(asset, find)), sort);
  const chosen = assets?.find((asset) => asset.asset === state.file.value) ?? null;
  const open = (asset: Asset) => state.file.set(asset === chosen ? "" : asset.asset);
  const bytes = rows.reduce((sum, asset) => sum + asset.size_bytes, 0);
  return (
    <>
      <FindField label="Find a file by its name or type">
        {assets === null ? null : (
          <span class="soft" aria-live="polite">
            {textOfCount(rows.length)} of {textOfCount(assets.length)}, {textOfBytes(bytes)}
          </span>
        )}
      </FindField>
      {error === null ? null : <Notice kind="bad">{messageOf(error)}</Notice>}
      {failed.value === null ? null : <Notice kind="bad">{failed.value}</Notice>}
      {assets?.length === 0 ? (
        <p class="waiting">This run has no files. `run.log_asset` keeps them.</p>
      ) : (
        <Table<Asset>
          label="Files"
          columns={columnsOf(sort, (asset) => void download({ run, asset: asset.asset }, asset.name))}
          rows={rows}
          total={rows.length}
          keyOf={(asset) => asset.asset}
          onOpen={open}
          onToggle={open}
          onPick={open}
          onSort={(column) => state.sort.set(nextSort(sort, column.id as FileColumn))}
          rowClass={(asset) => (asset === chosen ? "row-lit" : "")}
        />
      )}
      {chosen === null ? null : <FileWhole key={chosen.asset} asset={chosen} onClose={() => state.file.set("")} />}
    </>
  );
}

function isFound({ name, content_type: type, kind }: Asset, find: string): boolean {
  return [name, type, kind].some((text) => text.toLowerCase().includes(find));
}

function columnsOf(sort: string, download: (asset: Asset) => void): readonly TableColumn<Asset>[] {
  const column = (id: FileColumn, title: string, width: number, cell: TableColumn<Asset>["cell"], isNumber = false): TableColumn<Asset> => ({
    id,
    title,
    width: id === "name" ? firstWidth(width) : width,
    isPinned: id === "name",
    isNumber,
    sorted: sort === id || (id === "name" && sort === "") ? "ascending" : sort === `-${id}` ? "descending" : undefined,
    cell,
  });
  return [
    column("name", "Name", 260, (asset) => (
      <span class="ellipsis" title={asset.name}>
        {asset.name}
      </span>
    )),
    column("step", "Step", 84, (asset) => (asset.step === null ? null : textOfCount(asset.step)), true),
    column("size_bytes", "Size", 84, (asset) => <span title={`${asset.size_bytes} bytes`}>{textOfBytes(asset.size_bytes)}</span>, true),
    column("kind", "Kind", 100, (asset) => <span class="ellipsis">{asset.role ?? (isPatch(asset) ? "patch" : asset.kind)}</span>),
    column("content_type", "Type", 160, (asset) => <span class="ellipsis">{asset.content_type}</span>),
    column("at", "Logged", 190, (asset) => <time dateTime={asset.at}>{textOfMoment(asset.at)}</time>),
    column("context", "Context", 100, (asset) => <span class="ellipsis">{asset.context ?? ""}</span>),
    {
      id: "download",
      title: "Download",
      width: 110,
      isPinned: false,
      isNumber: false,
      head: <span>Download</span>,
      cell: (asset) =>
        asset.location === null ? (
          <button type="button" tabIndex={-1} class="quiet" aria-label={`Download ${asset.name}`} onClick={() => download(asset)}>
            Download
          </button>
        ) : (
          <span class="soft">elsewhere</span>
        ),
    },
  ];
}

