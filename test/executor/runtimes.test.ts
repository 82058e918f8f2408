import { createExecutor, findRuntime, readCgroups, runtimeRunner } from "../../src/executor/index.js";
import { executorSuite } from "../suites/executor.js";
import { directSpawner } from "./ground.js";

const searchPath = "/usr/sbin:/usr/bin";
for (const kind of ["runc", "crun"] as const) {
  executorSuite(
    `an executor on ${kind}`,
    ({ dirs }) => {
      const cgroups = readCgroups();
      const runtime = findRuntime({ searchPath, only: kind });
      return createExecutor({
        spawner: directSpawner,
        dirs,
        owner: `test-${kind}-${process.pid}-${owners++}`,
        runner: runtimeRunner(runtime, cgroups, { userNamespace: false }),
        searchPath,
      });
    },
    { cgroups: true },
  );
}
let owners = 0;
