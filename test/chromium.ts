// The Chromium of this machine, without a window.
import { existsSync } from "node:fs";
import process from "node:process";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";

const args: readonly string[] = [
  "--headless=new",
  "--no-sandbox", // It doesn't start as root with one.
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Chromium, as distributions call it, and what is made of it; scripts/setup.mjs brings the first. */
const names: readonly string[] = ["chromium", "google-chrome", "chromium-browser"];

function findBrowser(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(":").filter((folder) => folder !== "");
  return process.env["DROPWATCH_BROWSER"] ??
    names.flatMap((name) => folders.map((folder) => `${folder}/${name}`)).find((file) =>
      existsSync(file)
    );
}

/** Undefined where there is none. */
export const chromiumPath: string | undefined = findBrowser();

/** Starts it; it writes to a new folder, which is removed when it is closed. */
export async function launchChromium(): Promise<Browser> {
  if (chromiumPath === undefined) throw new Error(`no ${names[0]} in PATH`);
  return await chromium.launch({ executablePath: chromiumPath, args: [...args] });
}
