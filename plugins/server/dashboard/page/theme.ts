// Light or dark: as the system has it, or as was chosen here.
import { byId, setAttributes } from "./element.ts";
import { remember, remembered } from "./remembered.ts";

const dark = matchMedia("(prefers-color-scheme: dark)");
const themes = [undefined, "light", "dark"] as const;
type Theme = (typeof themes)[number];

const chosen = (): Theme => themes.find((each) => each === document.documentElement.dataset.theme);

/** The one of two colours that fits the page as it is now. */
export function tint([light, night]: readonly [light: string, dark: string]): string {
  const theme = chosen();
  return (theme === undefined ? dark.matches : theme === "dark") ? night : light;
}

function set(theme: Theme): void {
  const root = document.documentElement;
  if (theme === undefined) delete root.dataset.theme;
  else root.dataset.theme = theme;
  const name = theme ?? "as the system has it";
  setAttributes(byId("theme"), { "aria-label": `Theme: ${name}`, title: `Theme: ${name}` });
}

/** Takes up what was chosen before; `changed` is called when the page gets other colours. */
export function makeTheme(changed: () => void): { readonly next: () => void } {
  set(themes.find((each) => each === remembered("theme")));
  dark.addEventListener("change", changed);
  const next = (): void => {
    const theme = themes[(themes.indexOf(chosen()) + 1) % themes.length];
    remember("theme", theme ?? null);
    set(theme);
    changed();
  };
  byId("theme").addEventListener("click", next);
  return { next };
}
