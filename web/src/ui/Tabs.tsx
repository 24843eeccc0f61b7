import { useServices } from "../state/services.ts";
import { Link } from "./Link.tsx";

export interface Tab {
  readonly id: string;
  readonly title: string;
  /** How many things are in it; null: it is not told. */
  readonly count?: number | null;
}

interface TabsProps {
  readonly label: string;
  readonly tabs: readonly Tab[];
  readonly current: string;
  /** What the address holds for a tab; null: nothing, which is the first one. */
  readonly parameter: string;
}

/** Links to the parts of a view, of which one is shown. They are links, so that each opens in a tab of its own, too. */
export function Tabs({ label, tabs, current, parameter }: TabsProps) {
  const { address } = useServices();
  const [first] = tabs;
  const to = (id: string) => {
    const kept = address.query.value.get("as_of");
    const query = new URLSearchParams();
    if (id !== first?.id) query.set(parameter, id);
    if (kept !== null) query.set("as_of", kept);
    const text = query.toString();
    return address.path.value + (text === "" ? "" : `?${text}`);
  };
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map(({ id, title, count }) => (
        <Link key={id} to={to(id)} current={id === current} class="tab">
          {title}
          {typeof count === "number" ? <span class="tab-count">{count}</span> : null}
        </Link>
      ))}
    </nav>
  );
}
