interface RunViewProps {
  readonly workspace: string;
  readonly project: string;
  readonly run: string;
}

export function RunView({ run }: RunViewProps) {
  return <main class="plain" id="view">{run}</main>;
}
