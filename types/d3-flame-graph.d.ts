/** It has no declarations; plugins/server/dashboard/page/flame_library.ts says what is used of it. */
declare module "d3-flame-graph" {
  const flamegraph: unknown;
  export default flamegraph;
}
