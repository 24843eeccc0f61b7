import { useSignal } from "@preact/signals";

import { type Asset, textOfAsset } from "../../../data/assets.ts";
import { csvOf } from "../../../data/csv.ts";
import { histogramOf } from "../../../data/histograms.ts";
import type { MediaKind } from "../../../data/media.ts";
import { messageOf } from "../../../data/problem.ts";
import { addressesOf } from "../../../data/tickets.ts";
import { textOfBytes, textOfCount } from "../../../data/values.ts";
import { useFileAddress } from "../../../state/addresses.ts";
import { useLast, useLoaded } from "../../../state/loading.ts";
import { useServices } from "../../../state/services.ts";
import { Markdown } from "../../../ui/markdown/Markdown.tsx";
import { Notice } from "../../../ui/Notice.tsx";
import { Table, type TableColumn } from "../../../ui/Table.tsx";
import { HistogramBars } from "./HistogramBars.tsx";

interface ShownProps {
  readonly asset: Asset;
  readonly kind: MediaKind;
}

/** What is read of a text, and of a table, in bytes. */
const TEXT_BYTES = 256_000;
const TABLE_BYTES = 8_000_000;
const MOST_ROWS = 50_000;
/** Pictures below this width are enlarged without smoothing, in CSS pixels. */
const SMALL = 160;

/** A file of a run as what it is. */
export function Shown({ asset, kind }: ShownProps) {
  switch (kind) {
    case "image":
      return <Picture asset={asset} />;
    case "audio":
    case "video":
    case "page":
      return <Played asset={asset} kind={kind} />;
    case "table":
    case "histogram":
    case "text":
      return <Read asset={asset} kind={kind} />;
  }
}

function Picture({ asset }: { readonly asset: Asset }) {
  const { value: address, isOld } = useLast(useFileAddress(fileOf(asset)));
  const isSmall = useSignal(false);
  const failed = useSignal<string | null>(null);
  if (failed.value === asset.sha256) return <Notice kind="warn">This browser cannot show {asset.content_type}. Its file is among the files.</Notice>;
  if (address === null) return <div class="media-waiting" />;
  return (
    <a class="picture" href={address} target="_blank" rel="noopener noreferrer" title={`Open ${asset.name} alone`}>
      <img
        src={address}
        alt={asset.name}
        class={`${isSmall.value ? "pixels" : ""} ${isOld ? "old" : ""}`}
        onLoad={(event) => {
          isSmall.value = event.currentTarget.naturalWidth < SMALL;
        }}
        onError={() => {
          failed.value = asset.sha256;
        }}
      />
    </a>
  );
}

function Played({ asset, kind }: { readonly asset: Asset; readonly kind: "audio" | "video" | "page" }) {
  const { client } = useServices();
  const address = useFileAddress(fileOf(asset));
  if (address === null) return <div class="media-waiting" />;
  const forget = () => addressesOf(client).forget(fileOf(asset));
  if (kind === "audio") return <audio controls preload="metadata" src={address} aria-label={asset.name} onError={forget} />;
  if (kind === "video") return <video controls preload="metadata" src={address} aria-label={asset.name} onError={forget} />;
  // Scripts of the page run, but without an origin: they reach neither this page nor its key.
  return <iframe sandbox="allow-scripts" src={address} title={asset.name} loading="lazy" referrerpolicy="no-referrer" />;
}

function Read({ asset, kind }: { readonly asset: Asset; readonly kind: "table" | "histogram" | "text" }) {
  const { client } = useServices();
  const limit = kind === "table" ? TABLE_BYTES : TEXT_BYTES;
  const loaded = useLoaded((signal) => textOfAsset(client, asset, limit, signal), asset.sha256);
  const error = loaded.error.value;
  const { value: part, isOld } = useLast(loaded.value.value);
  if (error !== null && (part === null || isOld)) return <Notice kind="bad">{messageOf(error)}</Notice>;
  if (part === null) return <div class="media-waiting" />;
  if (kind === "table") return <CsvTable asset={asset} text={part.text} isCut={part.isCut} />;
  const histogram = kind === "histogram" ? histogramOf(part.text) : null;
  if (histogram !== null) return <HistogramBars histogram={histogram} label={asset.name} />;
  const isMarkdown = /markdown/.test(asset.content_type) || /\.md$/i.test(asset.name);
  return (
    <>
      {isMarkdown ? (
        <Markdown text={part.text} />
      ) : (
        <pre class="media-text" tabIndex={0}>
          {part.text}
        </pre>
      )}
      {part.isCut ? <p class="soft">the first {textOfBytes(limit)} of {textOfBytes(asset.size_bytes)}</p> : null}
    </>
  );
}

interface CsvTableProps {
  readonly asset: Asset;
  readonly text: string;
  readonly isCut: boolean;
}

function CsvTable({ asset, text, isCut }: CsvTableProps) {
  const separator = asset.content_type.startsWith("text/tab") ? "\t" : ",";
  const csv = csvOf(text, separator, MOST_ROWS);
  const columns: readonly TableColumn<readonly string[]>[] = csv.head.map((title, at) => ({
    id: String(at),
    title,
    width: 120,
    isPinned: false,
    isNumber: isNumber(csv.rows[0]?.[at]),
    cell: (row) => (
      <span class="ellipsis" title={row[at]}>
        {row[at]}
      </span>
    ),
  }));
  const rows = csv.rows;
  const places = new Map(rows.map((row, at) => [row, at]));
  return (
    <>
      <div class="media-table">
        <Table label={asset.name} columns={columns} rows={rows} total={rows.length} keyOf={(row) => String(places.get(row))} />
      </div>
      <p class="soft">
        {isCut || csv.isCut ? `the first ${textOfCount(rows.length)} rows; the file has more` : `${textOfCount(rows.length)} rows`}
      </p>
    </>
  );
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && text.trim() !== "" && Number.isFinite(Number(text));
}

function fileOf(asset: Asset): { readonly run: string; readonly asset: string } {
  return { run: asset.run, asset: asset.asset };
}
