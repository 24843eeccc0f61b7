/** The keys of a chart that has the focus. */
import type { Gestures } from "./gestures.ts";
import type { ChartModel } from "./model.ts";
import { around, moved } from "./zoom.ts";

/** Of the width, that a step of panning moves; and how much a key zooms. */
const PAN = 0.2;
const ZOOM = 1.6;

/** Does what a key means; returns whether it means anything. */
export function press(event: KeyboardEvent, model: ChartModel, gestures: Gestures): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const { view } = model;
  const across = model.across.peek();
  const middle = gestures.pointer.peek()?.x ?? across.size / 2;
  switch (event.key) {
    case "ArrowLeft":
    case "ArrowRight": {
      const direction = event.key === "ArrowRight" ? 1 : -1;
      if (event.shiftKey) model.zoom(moved(across, -direction * PAN * across.size));
      else void step(model, gestures, direction);
      return true;
    }
    case "+":
    case "=":
      model.zoom(around(across, middle, ZOOM));
      return true;
    case "-":
    case "_":
      model.zoom(around(across, middle, 1 / ZOOM));
      return true;
    case "Home":
      gestures.out();
      return true;
    case "Escape":
      if (gestures.box.peek() === null && gestures.pointer.peek() === null && view.cursor.peek() === null) return false;
      gestures.cancelDrag();
      gestures.pointer.value = null;
      view.cursor.value = null;
      return true;
    default:
      return false;
  }
}

/** Moves the cursor to the next bucket of any curve; an axis that does not show it moves along. */
async function step(model: ChartModel, gestures: Gestures, direction: 1 | -1): Promise<void> {
  const { view } = model;
  const axis = model.x.peek();
  const at = view.cursor.peek()?.x ?? (direction > 0 ? axis.from - 1 : axis.to + 1);
  const found = await model.easel.near({ place: at, direction });
  const place = found?.[0]?.place;
  if (place === undefined) return;
  let across = model.across.peek();
  if (view.range.peek() !== null && (place < axis.from || place > axis.to)) {
    model.zoom(moved(across, across.size / 2 - across.at(place)));
    across = model.across.peek();
  }
  view.cursor.value = { x: place };
  gestures.pointer.value = { x: across.at(place), y: gestures.pointer.peek()?.y ?? model.size.peek().height / 2 };
}
