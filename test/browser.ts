// A real Chromium without a window, for tests of what people see: its pages may do nothing wrong.
import process from "node:process";
import { expect, test } from "bun:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { chromiumPath, launchChromium } from "./chromium.ts";

/** The size of a page's window, in CSS pixels. */
export interface WindowSize {
  readonly width: number;
  readonly height: number;
}

export interface PageOptions {
  /** Default 1280 × 800. */
  readonly size?: WindowSize;
  /** Pixels of the screen for one of CSS. Default 1. */
  readonly scale?: number;
  /** The colours that the user wants. Default light. */
  readonly colours?: "light" | "dark";
  /** Called with the page before it goes to the URL. */
  readonly before?: (page: Page) => Promise<unknown>;
  /** What this page may do wrong, because the test brings it about: a text that is part of the fault. */
  readonly expected?: readonly string[];
}

/** A browser that starts with its first page. */
export interface TestBrowser {
  /** Opens a page that knows nothing of the others: no cookie, no store. */
  open(url: string, options?: PageOptions): Promise<Page>;
  /** The page is expected to do this wrong from now on, too. */
  expect(page: Page, fault: string): void;
  /** What pages did wrong since the last time; closes them all. */
  closePages(): Promise<string[]>;
  /** Ends the browser, and removes what it wrote. */
  close(): Promise<void>;
}

/** Why there is no browser to test in; undefined where there is one. */
export const missingBrowser: string | undefined = chromiumPath === undefined
  ? "no chromium"
  : undefined;

/** Registers a test that needs a browser, with `register` where there is one. */
export function browserTest(
  name: string,
  body: () => Promise<void>,
  timeout = 60_000,
  register: (name: string, body: () => Promise<void>, timeout: number) => void = test,
): void {
  if (missingBrowser === undefined) register(name, body, timeout);
  else if (process.env["DROPWATCH_KERNEL"] === "required") {
    test(name, () => {
      throw new Error(`DROPWATCH_KERNEL=required, but this machine has ${missingBrowser}`);
    });
  } else test.skip(`${name} (${missingBrowser})`, body);
}

/** Makes a browser for the tests of a file. */
export function makeBrowser(): TestBrowser {
  let started: Promise<Browser> | undefined;
  const contexts: BrowserContext[] = [];
  const expected = new Map<Page, string[]>();
  let faults: string[] = [];

  const watch = (page: Page, home: string): void => {
    const fault = (text: string): void => {
      if (!expected.get(page)!.some((part) => text.includes(part))) faults.push(text);
    };
    page.on("pageerror", (error) => fault(`error: ${error.stack ?? error.message}`));
    page.on("crash", () => fault("crash"));
    // What the browser refuses for the page's policy (CSP) it tells here, too.
    page.on("console", (message) => {
      if (message.type() === "error") {
        fault(`console: ${message.text()} (${message.location().url})`);
      }
    });
    page.on("dialog", (dialog) => {
      fault(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== home && protocol !== "data:" && protocol !== "blob:") {
        fault(`request to elsewhere: ${request.url()}`);
      }
    });
    page.on("popup", (popup) => fault(`popup: ${popup.url()}`));
  };

  return {
    async open(url, options = {}) {
      started ??= launchChromium();
      const context = await (await started).newContext({
        viewport: options.size ?? { width: 1280, height: 800 },
        deviceScaleFactor: options.scale ?? 1,
        colorScheme: options.colours ?? "light",
        locale: "en-GB",
        timezoneId: "UTC",
      });
      contexts.push(context);
      const page = await context.newPage();
      expected.set(page, [...options.expected ?? []]);
      watch(page, new URL(url).origin);
      await options.before?.(page);
      await page.goto(url);
      return page;
    },
    expect: (page, fault) => void expected.get(page)!.push(fault),
    async closePages() {
      await Promise.all(contexts.splice(0).map((context) => context.close()));
      expected.clear();
      const found = faults;
      faults = [];
      return found;
    },
    async close() {
      await (await started)?.close();
      started = undefined;
    },
  };
}

/** Closes the pages of a test; what they did wrong fails it. */
export async function expectNoFaults(browser: TestBrowser): Promise<void> {
  expect(await browser.closePages()).toEqual([]);
}
