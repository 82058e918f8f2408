import { tabulated } from "./aligned-columns.js";
import type { CallAnswer } from "./call.js";

/** The questions that can be asked, as `docker buildx build --call=subrequests.describe` tells them. */
export function answerDescribe(): CallAnswer {
  const rows = REQUESTS.map(({ name, version, description }) => [
    name.replace(/^frontend\./, ""),
    version,
    description,
  ]);
  return { json: REQUESTS, text: tabulated([["NAME", "VERSION", "DESCRIPTION"], ...rows], 1), version: "1.0.0" };
}

const RESULTS = [
  { name: "result.json", description: "" },
  { name: "result.txt", description: "" },
];

/** In BuildKit's form and order; it leaves the checks out of the list as well. */
const REQUESTS = [
  {
    name: "frontend.outline",
    version: "1.0.0",
    type: "rpc",
    description: "List all parameters current build target supports",
    opts: [{ name: "target", description: "Target build stage" }],
    inputs: null,
    metadata: RESULTS,
    refs: null,
  },
  {
    name: "frontend.targets",
    version: "1.0.0",
    type: "rpc",
    description: "List all targets current build supports",
    opts: [],
    inputs: null,
    metadata: RESULTS,
    refs: null,
  },
  {
    name: "frontend.subrequests.describe",
    version: "1.0.0",
    type: "rpc",
    description: "List available subrequest types",
    opts: null,
    inputs: null,
    metadata: RESULTS,
    refs: null,
  },
];
