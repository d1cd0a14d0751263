// The version of dropwatch; a test of --version holds it against package.json and deno.json.
export const version = "0.1.0";
