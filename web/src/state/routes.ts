/** Which view an address is of (docs/design/page.md has the table). */
export type Route =
  | { readonly view: "home" }
  | { readonly view: "workspace"; readonly workspace: string }
  | { readonly view: "project"; readonly workspace: string; readonly project: string }
  | { readonly view: "run"; readonly workspace: string; readonly project: string; readonly run: string }
  | { readonly view: "part"; readonly workspace: string; readonly project: string; readonly part: string }
  | { readonly view: "server"; readonly part: string }
  | { readonly view: "unknown" };

export function routeOf(path: string): Route {
  const parts = path.replace(/^\/+|\/+$/g, "").split("/").map(decoded);
  const [workspace = "", project, third, fourth, ...more] = parts;
  if (more.length > 0 || parts.includes(null)) return { view: "unknown" };
  if (workspace === null || project === null || third === null || fourth === null) return { view: "unknown" };
  if (workspace === "") return { view: "home" };
  if (workspace === "-") {
    return project !== undefined && third === undefined ? { view: "server", part: project } : { view: "unknown" };
  }
  if (project === undefined) return { view: "workspace", workspace };
  if (third === undefined) return { view: "project", workspace, project };
  if (fourth === undefined) return { view: "run", workspace, project, run: third };
  if (third === "-") return { view: "part", workspace, project, part: fourth };
  if (third === "archive") return { view: "run", workspace, project, run: fourth };
  return { view: "unknown" };
}

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

/** The address of what names say: a workspace, a project, a run. */
export function addressOf(...names: readonly string[]): string {
  return `/${names.map(encodeURIComponent).join("/")}`;
}
