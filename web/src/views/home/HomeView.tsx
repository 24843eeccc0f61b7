export function HomeView({ workspace }: { readonly workspace: string | null }) {
  return <main class="plain" id="view">{workspace ?? "All projects"}</main>;
}
