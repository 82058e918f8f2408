import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { type Ended, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
  return () => world[Symbol.asyncDispose]();
});

const succeeded = (ended: Ended): Ended => {
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  return ended;
};

/** A context whose RUN waits for the other one of a pair; both write into a cache of SHARING. */
function pair(name: string, other: string, sharing: string): string {
  // Each tells the other that it is inside by a file of the cache, and waits at most two seconds to be told.
  const meet = `touch /c/${name}; i=0; while [ ! -e /c/${other} ] && [ $i -lt 20 ]; do sleep 0.1; i=$((i+1)); done; test -e /c/${other} && echo "${name} met" || echo "${name} alone"; rm -f /c/${name}`;
  return world.files(
    { Dockerfile: `FROM base\nRUN --mount=type=cache,id=pair,target=/c,sharing=${sharing} ${meet}\n` },
    `${name}-${sharing}`,
  );
}

test.each([
  ["shared", true],
  ["locked", false],
  ["private", false],
])("two processes that use a cache mount at once: %s", async (sharing, meet) => {
  succeeded(await world.build([world.files({ Dockerfile: "FROM base\nRUN true\n" }, "first")]));
  const [left, right] = await Promise.all([
    world.build([pair("left", "right", sharing)]),
    world.build([pair("right", "left", sharing)]),
  ]);
  const said = [succeeded(left), succeeded(right)].map(({ stderr }) => /(left|right) (met|alone)$/m.exec(stderr)?.[2]);
  // Who leaves first takes its file along, so of two that meet one is sure to.
  if (meet) expect(said).toContain("met");
  else expect(said).toEqual(["alone", "alone"]);
});

test("a locked cache mount keeps what every step adds, whichever process it is of", async () => {
  const add = (name: string) =>
    world.files(
      {
        Dockerfile: [
          "FROM base",
          ...[1, 2, 3].map(
            (n) =>
              `RUN --mount=type=cache,target=/count,sharing=locked n=$(cat /count/n || echo 0); sleep 0.1; echo $((n+1)) > /count/n # ${name} ${n}`,
          ),
        ].join("\n"),
      },
      name,
    );
  const builds = ["a", "b"].map((name) => world.build([add(name)]));
  for (const ended of await Promise.all(builds)) succeeded(ended);
  const directory = world.files(
    { Dockerfile: "FROM base\nRUN --mount=type=cache,target=/count,sharing=locked cat /count/n\n" },
    "end",
  );
  expect(succeeded(await world.build([directory])).stderr).toMatch(/ 6$/m);
});

test("mounts of one step by one id are one directory, even a private one", async () => {
  const directory = world.files({
    Dockerfile: [
      "FROM base",
      "RUN --mount=type=cache,id=x,target=/a,sharing=private --mount=type=cache,id=x,target=/b,sharing=private echo one > /a/f && cat /b/f",
      "RUN --mount=type=cache,id=x,target=/a,sharing=private,ro cat /a/f && ! touch /a/g",
    ].join("\n"),
  });
  expect(succeeded(await world.build([directory])).stderr.match(/ one$/gm)).toHaveLength(2);
});

test("what is bound from the context stays as it was, though the caller changes it meanwhile", async () => {
  const directory = world.files({
    Dockerfile: [
      "FROM base",
      "RUN --mount=target=/m echo started && i=0 && while grep -q then /m/file && [ $i -lt 10 ]; do sleep 0.1; i=$((i+1)); done && cat /m/file && ! test -e /m/new",
    ].join("\n"),
    file: "then\n",
  });
  const running = world.start(world.buildWords([directory]));
  await running.says("started\n");
  fs.appendFileSync(path.join(directory, "file"), "later\n");
  fs.writeFileSync(path.join(directory, "new"), "");
  const { stderr } = succeeded(await running.ended);
  expect(stderr).toMatch(/ then$/m);
  expect(stderr).not.toMatch(/ later$/m);
});

test("what is bound from the context is a copy that a step may change, and nothing of it or of mount points is left", async () => {
  const directory = world.files({
    Dockerfile: [
      "FROM base",
      "RUN mkdir /made && touch -d @1000000000 /made",
      "RUN --mount=target=/made/here/deep,rw --mount=type=tmpfs,target=/made/t,size=64k,ro --mount=type=secret,id=s,target=/made/run,mode=0500 \\",
      "  echo changed > /made/here/deep/kept && echo new > /made/here/deep/new && ! touch /made/t/x && /made/run",
      "RUN test $(ls -A /made | wc -l) = 0 && stat -c %Y /made",
    ].join("\n"),
    kept: "kept",
    ignored: "x",
    ".dockerignore": "ignored",
  });
  fs.writeFileSync(world.path("secret"), "#!/bin/sh\necho ran; ls /made/here/deep\n");
  const { stderr } = succeeded(await world.build(["--secret", `id=s,src=${world.path("secret")}`, directory]));
  expect(stderr).toMatch(/ ran$/m);
  expect(stderr).not.toMatch(/ ignored$/m);
  expect(stderr).toMatch(/ 1000000000$/m);
  expect(fs.readFileSync(path.join(directory, "kept"), "utf8")).toBe("kept");
  expect(fs.existsSync(path.join(directory, "new"))).toBe(false);
});

test("an archive fills what a step mounts, whichever way the mount is made, under the id as it is written", async () => {
  const tools = (words: readonly string[]) => world.ashlar(["cache", "mounts", ...words]);
  world.files({ "tree/file": "kept\n" }, ".");
  const [archive, empty, back] = ["archive.tar", "empty.tar", "back.tar"].map((name) => world.path(name));
  execFileSync("tar", ["-cf", archive ?? "", "-C", world.path("tree"), "."]);
  execFileSync("tar", ["-cf", empty ?? "", "-T", "/dev/null"]);
  succeeded(await tools(["import", "žluť", "-i", archive ?? ""]));
  const mount = "RUN --mount=type=cache,id=žluť,target=/c";
  const Dockerfile = `FROM base AS start\nRUN mkdir /s && echo start > /s/start\nFROM base\n${mount},uid=7 cat /c/file\n${mount},from=start,source=/s cat /c/start\n`;
  const built = succeeded(await world.build([world.files({ Dockerfile })]));
  expect(built.stderr).toMatch(/ kept$/m);
  expect((await tools(["ls", "-q"])).stdout).toBe("žluť\n");
  // The one used last.
  succeeded(await tools(["export", "žluť", "-o", back ?? ""]));
  expect(execFileSync("tar", ["-tf", back ?? ""], { encoding: "utf8" })).toBe("start\n");
  succeeded(await tools(["import", "žluť", "-i", empty ?? ""]));
  succeeded(await tools(["export", "žluť", "-o", back ?? ""]));
  expect(execFileSync("tar", ["-tf", back ?? ""], { encoding: "utf8" })).toBe("");
  succeeded(await tools(["import", "žluť", "-i", back ?? ""]));
});
