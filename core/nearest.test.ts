import { expect, test } from "bun:test";
import { nearest } from "./nearest.ts";

const names = ["SOCKET_FILTER", "SOCKET_RCVBUFF", "NO_SOCKET", "TCP_CSUM", "UDP_CSUM", "XDP"];

test("the nearest names are those with a typo or two, the closest first", () => {
  expect(nearest("SOCKET_FILTR", names)).toEqual(["SOCKET_FILTER"]);
  expect(nearest("UDP_CSUN", names)[0]).toBe("UDP_CSUM");
  expect(nearest("TCP_CSUM", names)[0]).toBe("TCP_CSUM");
});

test("case doesn't count, and a part of a name is near", () => {
  expect(nearest("socket_filter", names)).toEqual(["SOCKET_FILTER"]);
  expect(nearest("csum", names)).toEqual(["TCP_CSUM", "UDP_CSUM"]);
});

test("at most three are named, and none where none is near", () => {
  const many = Array.from({ length: 9 }, (_, i) => `REASON_${i}`);
  expect(nearest("REASON_X", many)).toEqual(["REASON_0", "REASON_1", "REASON_2"]);
  expect(nearest("SOMETHING_ELSE_ALTOGETHER", names)).toEqual([]);
  expect(nearest("x", [])).toEqual([]);
});
