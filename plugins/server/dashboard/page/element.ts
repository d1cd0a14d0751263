/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
// (For Deno, whose checks don't know the tsconfig.json beside this file.)
//
// Elements of the page. Text goes in as text, whoever wrote it: nothing here reads markup.

export type Child = Node | string | null | undefined | false;
export type Attributes = Readonly<
  Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>
>;

/**
 * An element with attributes and children. `true` is an attribute without a value, null and false
 * leave it out, a function listens: `{ onclick: () => … }`.
 */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  setAttributes(element, attributes);
  element.append(...present(children));
  return element;
}

export function makeSvg(
  name: string,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  setAttributes(element, attributes);
  element.append(...present(children));
  return element;
}

export function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (value === null || value === undefined || value === false) {
      element.removeAttribute(name);
    } else {
      const said = name === "title" || name === "aria-label";
      const text = value === true ? "" : said ? visible(String(value)) : String(value);
      if (element.getAttribute(name) !== text) element.setAttribute(name, text);
    }
  }
}

const present = (children: readonly Child[]): (Node | string)[] =>
  children.filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => typeof child === "string" ? visible(child) : child);

const unseen =
  // deno-lint-ignore no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * Text with what can't be seen, or turns other text around, written out: `\u202e`. A process called
 * `\u202egnp.exe` would look like one called `exe.png`, and turn the rest of its line around.
 */
function visible(text: string): string {
  return text.replace(unseen, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function fill(parent: Element, ...children: readonly Child[]): void {
  parent.replaceChildren(...present(children));
}

/** Sets a text where it is another one: what stays the same costs no layout. */
export function setText(node: Node, text: string): void {
  const shown = visible(text);
  if (node.textContent !== shown) node.textContent = shown;
}

/** The element that page.html has under an id. */
export function byId<Kind extends Element = HTMLElement>(id: string): Kind {
  return document.getElementById(id) as unknown as Kind;
}

/**
 * Makes the children of `parent` those of `items`, in their order. An element stays the same as long as
 * its key is there, and with it the focus and what is open in it.
 */
export function reconcile<Item>(
  parent: Element,
  items: readonly Item[],
  keyOf: (item: Item) => string,
  create: (item: Item) => Element,
  update: (element: Element, item: Item, at: number) => void,
): void {
  const known = rowsOf.get(parent) ?? new Map<string, Element>();
  const next = new Map<string, Element>();
  items.forEach((item, at) => {
    const key = keyOf(item);
    const element = known.get(key) ?? create(item);
    next.set(key, element);
    update(element, item, at);
  });
  for (const [key, element] of known) if (!next.has(key)) element.remove();
  let at = parent.firstElementChild;
  for (const element of next.values()) {
    // Only what stands elsewhere is moved: an element that is moved loses the focus.
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
  }
  rowsOf.set(parent, next);
}

const rowsOf = new WeakMap<Element, Map<string, Element>>();

/** A link to elsewhere, or its text where that is no http(s) link. */
export function outside(url: string | undefined, text: string): Child {
  return url === undefined
    ? text
    : make("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, text);
}

/** What happens is drawn once a frame, and while nobody sees the page not at all. */
export interface Frame {
  /** Calls `draw` in the next frame; once, however often it was asked for. */
  ask(draw: () => void): void;
}

export function makeFrame(): Frame {
  const asked = new Set<() => void>();
  let waits = false;
  const run = (): void => {
    waits = false;
    const now = [...asked];
    asked.clear();
    for (const draw of now) draw();
  };
  const wait = (): void => {
    if (waits || document.hidden || asked.size === 0) return;
    waits = true;
    requestAnimationFrame(run);
  };
  document.addEventListener("visibilitychange", wait);
  return {
    ask(draw) {
      asked.add(draw);
      wait();
    },
  };
}

/** Says how long ago something was, and keeps saying it as time goes by. */
export function ago(at: number | string, prefix = ""): HTMLTimeElement {
  const time = make("time", { "data-prefix": prefix });
  setAgo(time, at);
  return time;
}

export function setAgo(time: HTMLTimeElement, at: number | string): void {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return;
  setAttributes(time, { datetime: date.toISOString(), title: date.toLocaleString() });
  tellAgo?.(time);
}

let tellAgo: ((time: HTMLTimeElement) => void) | undefined;

/** `tell` gives the text of a time; it is asked again every few seconds. */
export function keepTelling(tell: (at: number) => string): void {
  tellAgo = (time) => {
    const at = Date.parse(time.dateTime);
    setText(time, `${time.dataset.prefix ?? ""}${tell(at)}`);
  };
  setInterval(() => {
    if (document.hidden) return;
    for (const time of document.querySelectorAll<HTMLTimeElement>("time[data-prefix]")) {
      tellAgo?.(time);
    }
  }, 5000);
}
