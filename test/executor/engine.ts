import { createExecutor, findRuntime, readCgroups, runtimeRunner } from "../../src/executor/index.js";
import { createOwner, stateDirs } from "../../src/snapshot/index.js";
import { directSpawner, shell } from "./ground.js";

/** An engine in small: runs one step, and says what the step says. Arguments: the state directory, the runtime, the owner's id, the script. */
const [root = "", kind = "", ownerId = "", script = ""] = process.argv.slice(2);
const dirs = stateDirs(root);
const owner = createOwner(dirs.owners, ownerId);
const executor = createExecutor({
  spawner: directSpawner,
  dirs,
  owner: owner.id,
  runner: runtimeRunner(findRuntime({ searchPath: "", only: kind === "crun" ? "crun" : "runc" }), readCgroups()),
  searchPath: "",
});
process.stdout.write("started\n");
const exit = await executor.run(shell(script), `${root}/rootfs`, {
  onOutput: (_, chunk) => process.stdout.write(chunk),
});
process.stdout.write(`${JSON.stringify(exit)}\n`);
