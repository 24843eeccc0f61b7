import { addressOf, type Route } from "../state/routes.ts";
import { useServices } from "../state/services.ts";
import { Link } from "../ui/Link.tsx";

/** Where the person is, and what is the same everywhere: the way home, light or dark, the key. */
export function Header({ route }: { readonly route: Route }) {
  const { access, theme } = useServices();
  const other = theme.shade.value === "dark" ? "light" : "dark";
  return (
    <header class="header">
      <a class="skip" href="#view">
        Skip to the view
      </a>
      <nav aria-label="Where you are">
        <Link to="/" class="brand">
          Runstream
        </Link>
        {crumbsOf(route).map(({ name, to, isLast }) => (
          <span key={to} class="crumb">
            <span aria-hidden="true">/</span>
            <Link to={to} title={name} current={isLast}>
              {name}
            </Link>
          </span>
        ))}
      </nav>
      {"project" in route ? <Views route={route} /> : null}
      <div class="header-end">
        <button
          type="button"
          class="quiet"
          onClick={() => {
            theme.chosen.value = other;
          }}
          title={`Show the page in ${other} colours`}
        >
          {other === "dark" ? "Dark" : "Light"}
        </button>
        {access.key.value === null ? null : (
          <button type="button" class="quiet" onClick={() => access.forget()} title="Forget the API key in this browser">
            Sign out
          </button>
        )}
      </div>
    </header>
  );
}

/** Views of a project besides the one of its runs: their names in the address, and to people. */
const VIEWS = [
  ["sweep", "Sweep"],
  ["artifacts", "Artifacts"],
  ["panels", "Panels"],
] as const;

interface ViewsProps {
  readonly route: Extract<Route, { readonly project: string }>;
}

/** The views of the project; the filter goes along. */
function Views({ route }: ViewsProps) {
  const { address } = useServices();
  const filter = address.query.value.get("filter");
  const query = filter === null ? "" : `?filter=${encodeURIComponent(filter)}`;
  const place = [route.workspace, route.project];
  return (
    <nav class="views" aria-label="Views of the project">
      <Link to={addressOf(...place) + query} current={route.view === "project"}>
        Runs
      </Link>
      {VIEWS.map(([part, name]) => (
        <Link key={part} to={addressOf(...place, "-", part) + query} current={route.view === "part" && route.part === part}>
          {name}
        </Link>
      ))}
    </nav>
  );
}

interface Crumb {
  readonly name: string;
  readonly to: string;
  readonly isLast: boolean;
}

function crumbsOf(route: Route): readonly Crumb[] {
  const names = namesOf(route);
  return names.map((name, at) => ({
    name,
    to: addressOf(...names.slice(0, at + 1)),
    isLast: at === names.length - 1,
  }));
}

function namesOf(route: Route): readonly string[] {
  switch (route.view) {
    case "workspace":
      return [route.workspace];
    case "project":
    case "part":
    case "run":
      return [route.workspace, route.project];
    default:
      return [];
  }
}
