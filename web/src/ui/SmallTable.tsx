import type { ComponentChildren } from "preact";

interface SmallTableProps {
  readonly label: string;
  readonly titles: readonly string[];
  /** Its rows, each with a key. */
  readonly children: ComponentChildren;
}

/** A table of few rows, all of them in the document; a narrow screen scrolls it. */
export function SmallTable({ label, titles, children }: SmallTableProps) {
  return (
    <div class="scrolling" tabIndex={0} role="group" aria-label={label}>
      <table class="small-table">
        <thead>
          <tr>
            {titles.map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
