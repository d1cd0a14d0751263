// d3-flame-graph, with types for what is used of it.
import flamegraph from "d3-flame-graph";
import type { FlameNode } from "./flame_tree.ts";

/** A node as it is drawn. */
export interface Frame {
  readonly data: FlameNode;
  readonly parent: Frame | null;
  readonly depth: number;
  /** What was searched for is found in it. */
  readonly highlight?: boolean;
}

/** Draws the datum of a selection of d3-selection's; each setting returns the graph. */
export interface FlameGraph {
  (selection: unknown): void;
  width(pixels: number): FlameGraph;
  cellHeight(pixels: number): FlameGraph;
  transitionDuration(milliseconds: number): FlameGraph;
  /** Frames that are narrower aren't drawn. */
  minFrameSize(pixels: number): FlameGraph;
  /** The root at the top. */
  inverted(is: boolean): FlameGraph;
  resetHeightOnZoom(is: boolean): FlameGraph;
  /** By name. */
  sort(is: boolean): FlameGraph;
  getName(call: (frame: Frame) => string): FlameGraph;
  setLabelHandler(call: (frame: Frame) => string): FlameGraph;
  /** Called with a frame's label while the pointer is on it, and with null after. */
  setDetailsHandler(call: (label: string | null) => void): FlameGraph;
  setSearchMatch(call: (frame: Frame, term: string) => boolean): FlameGraph;
  setSearchHandler(
    call: (results: readonly Frame[], value: number, all: number) => void,
  ): FlameGraph;
  setColorMapper(call: (frame: Frame) => string): FlameGraph;
  onClick(call: (frame: Frame) => void): FlameGraph;
  search(term: string): void;
  clear(): void;
  resetZoom(): void;
  update(data: FlameNode): FlameGraph;
}

export const flameGraph: () => FlameGraph = flamegraph as unknown as () => FlameGraph;
