// The version that --version prints.
export { version } from "../core/version.ts";
