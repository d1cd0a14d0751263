// What a rule or a config can import.
import { expect, test } from "bun:test";
import * as mod from "../../mod.ts";
import { api } from "./api.ts";

test("a bundle can import everything that mod.ts exports", () => {
  expect(Object.entries(api).sort()).toEqual(Object.entries(mod).sort());
});
