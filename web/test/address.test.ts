import assert from "node:assert/strict";
import { test } from "node:test";

import { signal } from "@preact/signals";

import { Address, flag, list, number, oneOf, Param, range, text } from "../src/state/address.ts";
import { bind } from "../src/state/bind.ts";

/** A window with a history of its own. */
class FakeWindow {
  readonly entries: string[];
  at = 0;
  private onPop: () => void = () => undefined;
  constructor(first: string) {
    this.entries = [first];
  }
  get location(): Location {
    return { href: `http://host${this.entries[this.at] ?? ""}` } as Location;
  }
  readonly history = {
    pushState: (_: unknown, __: string, to: string) => {
      this.entries.splice(this.at + 1, this.entries.length, to);
      this.at += 1;
    },
    replaceState: (_: unknown, __: string, to: string) => {
      this.entries[this.at] = to;
    },
  } as unknown as History;
  addEventListener(_: string, listener: () => void): void {
    this.onPop = listener;
  }
  go(by: number): void {
    this.at += by;
    this.onPop();
  }
}

function page(first: string): { window: FakeWindow; address: Address } {
  const window = new FakeWindow(first);
  return { window, address: new Address(window as unknown as Window) };
}

test("values go through the address unchanged", () => {
  const { address, window } = page("/w/p");
  const texts = ["", "a,b", "%2C", "ü &=?#+ ", "100%", "a\nb", "%25%2c"];
  const names = new Param(address, "names", list(["standard"]));
  names.set(texts);
  const again = new Address(window as unknown as Window);
  assert.deepEqual(new Param(again, "names", list(["standard"])).value, texts);
  for (const one of texts) {
    const param = new Param(address, "one", text("other"));
    param.set(one);
    assert.equal(param.value, one);
  }
  names.set(["standard"]);
  assert.equal(address.query.value.has("names"), false);
  names.set([]);
  assert.deepEqual(names.value, []);
});

test("what is no value is the default", () => {
  const { address } = page("/w/p?n=abc&m=1e9&side=up&r=5~1&s=1~2~3&t=~4&f=yes");
  assert.equal(new Param(address, "n", number(7, 0, 10)).value, 7);
  assert.equal(new Param(address, "m", number(7, 0, 10)).value, 10);
  assert.equal(new Param(address, "side", oneOf(["both", "table"])).value, "both");
  for (const name of ["r", "s", "t", "none"]) assert.equal(new Param(address, name, range).value, null);
  assert.equal(new Param(address, "f", flag).value, false);
  const zoom = new Param(address, "zoom", range);
  zoom.set([-1.5, 20]);
  assert.deepEqual(zoom.value, [-1.5, 20]);
  // More digits than a screen can show make addresses long.
  zoom.set([1378.527607361, 1929.9386503]);
  assert.equal(address.query.value.get("zoom"), "1378.53~1929.94");
});

test("back and forward undo and redo", () => {
  const { address, window } = page("/w/p");
  const filter = new Param(address, "filter", text());
  filter.set("a = 1");
  filter.set("b = 2");
  window.go(-1);
  assert.equal(filter.value, "a = 1");
  window.go(1);
  assert.equal(filter.value, "b = 2");
  filter.set("b = 2");
  assert.equal(window.entries.length, 3);
});

test("a signal and the address follow each other", () => {
  const { address, window } = page("/w/p?smooth=3");
  const param = new Param(address, "smooth", number(0, 0, 100));
  const target = signal(0);
  const stop = bind(target, param, (value) => value, (value) => value);
  assert.equal(target.value, 3);
  target.value = 5;
  assert.equal(address.query.value.get("smooth"), "5");
  target.value = 6;
  target.value = 7;
  // What changes many times a second is one step back.
  assert.equal(window.entries.length, 2);
  window.go(-1);
  assert.equal(target.value, 3);
  stop();
  target.value = 50;
  assert.equal(param.value, 3);
});
