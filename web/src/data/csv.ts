/** A table in a text (RFC 4180). Pure. */
export interface Csv {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Whether the text has more rows than were read. */
  readonly isCut: boolean;
}

const MOST_COLUMNS = 1000;

/** Read at most so many rows; the first one has the names of columns. */
export function csvOf(text: string, separator: "," | "\t", mostRows: number): Csv {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = text.startsWith("\ufeff") ? 1 : 0;
  while (at < text.length && rows.length <= mostRows) {
    const [cell, next] = cellAt(text, at, separator);
    if (row.length < MOST_COLUMNS) row.push(cell);
    at = next;
    const end = text.charAt(at);
    if (end === separator) {
      at += 1;
      // A separator at the very end stands before an empty cell.
      if (at === text.length) row.push("");
      if (at < text.length) continue;
    } else if (end === "\r") at += text.charAt(at + 1) === "\n" ? 2 : 1;
    else if (end === "\n") at += 1;
    rows.push(row);
    row = [];
  }
  const [head = [], ...body] = rows;
  return { head, rows: body.slice(0, mostRows), isCut: at < text.length || body.length > mostRows };
}

/** The cell that begins at a place, and where it ends. */
function cellAt(text: string, from: number, separator: string): readonly [string, number] {
  if (text.charAt(from) !== '"') return plainAt(text, from, separator);
  const parts: string[] = [];
  let at = from + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return [parts.join("") + text.slice(at), text.length];
    parts.push(text.slice(at, quote));
    if (text.charAt(quote + 1) !== '"') {
      // What stands behind the closing quote is no part of the format: it is kept as it is.
      const [rest, end] = plainAt(text, quote + 1, separator);
      return [parts.join("") + rest, end];
    }
    parts.push('"');
    at = quote + 2;
  }
}

function plainAt(text: string, from: number, separator: string): readonly [string, number] {
  let end = from;
  while (end < text.length && text.charAt(end) !== separator && text.charAt(end) !== "\n" && text.charAt(end) !== "\r") end += 1;
  return [text.slice(from, end), end];
}
