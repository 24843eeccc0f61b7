import type { ComponentChildren } from "preact";

import { useServices } from "../state/services.ts";

interface LinkProps {
  readonly to: string;
  readonly children: ComponentChildren;
  readonly class?: string;
  readonly title?: string;
  readonly current?: boolean;
}

/** A link to another address of the page: it opens without loading the page again, and in a new tab as links do. */
export function Link({ to, children, title, current, class: name }: LinkProps) {
  const { address } = useServices();
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    address.go(to);
  };
  return (
    <a href={to} onClick={follow} class={name} title={title} aria-current={current === true ? "page" : undefined}>
      {children}
    </a>
  );
}
