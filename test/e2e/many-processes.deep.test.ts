import fs from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { hasDockerRegistry, startRegistry } from "../registry/docker-registry.js";
import { problemsOf } from "./store-check.js";
import { eventually, tracesOf, World } from "./world.js";

/** Workers that each run one program after the other, all on one state directory. */
const WORKERS = 6;
const PROGRAMS = 12;
/** Every so many programs one is killed. */
const KILLED_EVERY = 7;

test("builds, pulls, prunes and kills at once on one state directory: what isn't killed is right", async () => {
  await using world = new World();
  await using registry = hasDockerRegistry ? await startRegistry("plain") : undefined;
  const dockerfile = (n: number) =>
    `FROM base AS one\nRUN echo one > /one\nFROM base\nCOPY who /who\nRUN cat /who > /said && echo ${n % 2}\nCOPY --from=one /one /one\n`;
  const contextOf = (n: number) => world.files({ Dockerfile: dockerfile(n), who: `${n}\n` }, `context${n}`);
  const succeed = async (words: readonly string[]) => {
    const ended = await world.ashlar(words);
    expect(ended, `ashlar ${words.join(" ")}: ${ended.stderr}`).toMatchObject({ code: 0 });
  };
  await succeed(world.buildWords(["-t", "kept", contextOf(0)]));
  const remote = registry && `${registry.name}/app`;
  if (remote) await succeed(["tag", "kept", remote]);
  if (remote) await succeed(["push", remote]);
  let count = 0;
  const work = async (worker: number): Promise<void> => {
    for (let n = 0; n < PROGRAMS; n++) {
      const out = world.path(`out-${worker}-${n}`);
      const which = (worker + n) % 4;
      const build = world.buildWords(["-o", out, contextOf(which)]);
      const tagged = world.buildWords(["-t", `app${worker}`, contextOf(which)]);
      const others = [tagged, ["prune", "-f"], tagged, ["prune", "-a", "-f"], remote ? ["pull", remote] : tagged];
      const words = n % 2 === 0 ? build : (others[(worker + (n >> 1)) % others.length] ?? build);
      const running = world.start(words);
      const dies = ++count % KILLED_EVERY === 0;
      if (dies) {
        await pause((count * 97) % 1500);
        running.child.kill("SIGKILL");
      }
      const ended = await running.ended;
      if (dies && ended.signal === "SIGKILL") continue;
      expect(ended, `ashlar ${words.join(" ")}: ${ended.stderr}`).toMatchObject({ code: 0 });
      if (words === build) expect(fs.readFileSync(`${out}/said`, "utf8")).toBe(`${which}\n`);
      if (words === tagged) {
        const said = await world.ashlar(["run", `app${worker}`, "cat", "/said", "/one"]);
        expect(said, said.stderr).toMatchObject({ code: 0, stdout: `${which}\none\n` });
      }
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));
  await eventually(() => tracesOf(world.dir, world.root, undefined).join("\n") || true, 3000);
  await succeed(["prune", "-f"]);
  expect(problemsOf(world.root, "pruned")).toEqual([]);
  await succeed(["prune", "--check"]);
  await succeed(["run", "kept", "cat", "/said"]);
}, 3_600_000);
