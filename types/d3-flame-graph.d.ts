/** Types of what is used of d3-flame-graph, which has no declarations. */

declare module "d3-flame-graph" {
  /** A node of the data: its value has those of its children in it. */
  export interface FlameData {
    readonly name: string;
    readonly value: number;
    readonly reason: string;
    readonly children: readonly FlameData[];
  }

  /** A node as it is drawn. */
  export interface Frame {
    readonly data: FlameData;
    readonly parent: Frame | null;
    readonly depth: number;
    readonly highlight?: boolean;
  }

  /** Draws the datum of a selection; each setting returns the graph. */
  export interface FlameGraph {
    // deno-lint-ignore no-explicit-any -- any selection of d3-selection's will do
    (selection: any): void;
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
    setColorMapper(call: (frame: Frame, otherwise: string) => string): FlameGraph;
    onClick(call: (frame: Frame) => void): FlameGraph;
    search(term: string): void;
    clear(): void;
    resetZoom(): void;
    update(data: FlameData): FlameGraph;
  }

  export default function flamegraph(): FlameGraph;
}
