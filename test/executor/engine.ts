import path from "node:path";
import {
  createExecutor,
  findRuntime,
  readCgroups,
  runtimeRunner,
  type StepRunner,
  sandboxRunner,
} from "../../src/executor/index.js";
import { createOwner, stateDirs } from "../../src/snapshot/index.js";
import { directSpawner, shell } from "./ground.js";

/** An engine in small: runs one step, and says what the step says. Arguments: the state directory, the runner, the owner's id, the script. */
const [root = "", kind = "", ownerId = "", script = ""] = process.argv.slice(2);
void main();

async function main(): Promise<void> {
  const dirs = stateDirs(root);
  const owner = createOwner(dirs.owners, ownerId);
  const executor = createExecutor({ spawner: directSpawner, dirs, owner: owner.id, runner: runner(), searchPath: "" });
  process.stdout.write("started\n");
  const onOutput = (_: number, chunk: Uint8Array) => void process.stdout.write(chunk);
  const exit = await executor.run(shell(script, { user: { uid: 1000, gid: 1000, groups: [] } }), `${root}/rootfs`, {
    onOutput,
  });
  process.stdout.write(`${JSON.stringify(exit)}\n`);
}

function runner(): StepRunner {
  if (kind === "sandbox")
    return sandboxRunner({ node: process.execPath, entry: path.join(root, "sandbox.cjs") }, process.arch);
  return runtimeRunner(findRuntime({ searchPath: "", only: kind === "crun" ? "crun" : "runc" }), readCgroups(), {
    userNamespace: false,
  });
}
