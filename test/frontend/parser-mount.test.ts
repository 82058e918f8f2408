// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a Dockerfile, no templates
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RunMount } from "../../src/frontend/dockerfile/ast.js";
import { parseCsvFields } from "../../src/frontend/dockerfile/csv.js";
import { expandWord } from "../../src/frontend/dockerfile/expand.js";
import { parseMemorySize } from "../../src/frontend/dockerfile/memory-size.js";
import { type ResolvedMount, resolveMountOptions } from "../../src/frontend/dockerfile/mount.js";
import { parseDockerfile } from "../../src/frontend/dockerfile/parser.js";

const VARIABLES = new Map([
  ["dir", "/d"],
  ["type", "tmpfs"],
]);

function mountOf(options: string): RunMount {
  const { dockerfile } = parseDockerfile(`FROM base\nRUN --mount=${options} x\n`, "Dockerfile");
  const run = dockerfile.instructions[1];
  const [mount] = run?.kind === "run" ? run.mounts : [];
  if (!mount) throw new Error("no mount");
  return mount;
}

/** The mount, or the error. */
function resolve(options: string): ResolvedMount | string {
  const result = resolveMountOptions(mountOf(options), (text) => expandWord(text, VARIABLES, "\\"));
  return result.ok ? result.mount : result.error;
}

describe("a mount's options", () => {
  it.each<[string, ResolvedMount]>([
    ["target=/m", { type: "bind", from: undefined, source: "", target: "/m", readOnly: true }],
    ["type=bind,from=x,src=a,dst=$dir,rw", { type: "bind", from: "x", source: "a", target: "/d", readOnly: false }],
    ["Target=/m,RW=false", { type: "bind", from: undefined, source: "", target: "/m", readOnly: true }],
    [
      "type=cache,target=/c/../e/",
      {
        type: "cache",
        from: undefined,
        source: "",
        target: "/c/../e/",
        readOnly: false,
        id: "/e",
        sharing: "shared",
        owner: undefined,
      },
    ],
    [
      "type=CACHE,id=i,target=c,sharing=Locked,ro,uid=7,mode=0770",
      {
        type: "cache",
        from: undefined,
        source: "",
        target: "c",
        readOnly: true,
        id: "i",
        sharing: "locked",
        owner: { uid: 7, gid: 0, mode: 0o770 },
      },
    ],
    ["type=$type,target=/t,size=1.5m", { type: "tmpfs", target: "/t", readOnly: false, sizeBytes: 1_572_864 }],
    ["type=tmpfs,target=/t", { type: "tmpfs", target: "/t", readOnly: false, sizeBytes: undefined }],
    [
      "type=secret,id=a/b",
      {
        type: "secret",
        id: "a/b",
        target: "/run/secrets/b",
        env: undefined,
        required: false,
        owner: { uid: 0, gid: 0, mode: 0o400 },
      },
    ],
    [
      "type=secret,target=/x/y,required,uid=1",
      {
        type: "secret",
        id: "y",
        target: "/x/y",
        env: undefined,
        required: true,
        owner: { uid: 1, gid: 0, mode: 0o400 },
      },
    ],
    [
      "type=secret,source=s,env=E,required=false",
      { type: "secret", id: "s", target: undefined, env: "E", required: false, owner: { uid: 0, gid: 0, mode: 0o400 } },
    ],
    [
      "type=ssh",
      { type: "ssh", id: "default", target: undefined, required: false, owner: { uid: 0, gid: 0, mode: 0o600 } },
    ],
    [
      "type=ssh,id=k,target=/a,mode=666,required=1",
      { type: "ssh", id: "k", target: "/a", required: true, owner: { uid: 0, gid: 0, mode: 0o666 } },
    ],
  ])("%s", (options, mount) => {
    expect(resolve(options)).toEqual(mount);
  });

  it.each([
    ["type=bnd,target=/m", 'unsupported mount type "bnd" (did you mean bind?)'],
    ["target=/m,colour=red", "unexpected key 'colour' in 'colour=red'"],
    ["Sorce=/m", "unexpected key 'sorce' in 'Sorce=/m' (did you mean source?)"],
    ["target", "invalid field 'target' must be a key=value pair"],
    ["type=bind,", "invalid field '' must be a key=value pair"],
    ["target=/m,required", "unexpected key 'required' for mount type 'bind'"],
    ["required,type=secret,id=x", "unexpected key 'required' for mount type 'bind'"],
    ["type=cache,size=1m", "unexpected key 'size' for mount type 'cache'"],
    ["type=tmpfs,size=much", "invalid value for size: much"],
    ["type=cache,sharing=share", 'unsupported sharing value "share" (did you mean shared?)'],
    ["type=cache,mode=rwx", "invalid value rwx for mode"],
    ["type=cache,uid=-1", "invalid value -1 for uid"],
    ["type=cache,gid=4294967296", "invalid value 4294967296 for gid"],
    ["ro=maybe", "invalid value for ro: maybe"],
    ["target=/m,mode=1", 'mode not allowed for "bind" type mounts'],
    ["type=tmpfs,uid=1", 'uid not allowed for "tmpfs" type mounts'],
    ["target=/m,sharing=locked", "invalid cache sharing set for bind mount"],
    ["type=secret", "invalid secret mount. one of source, target required"],
    ["type=secret,id=a,source=b", "both source and id can't be set"],
    ["type=secret,id=a,from=b", "secret mount should not have a from"],
    ["type=secret,id=a,sharing=locked", "secret mount should not define sharing"],
    ["type=ssh,source=x", "ssh does not support source"],
    ["target=${}", 'failed to process "${}": syntax error: bad substitution'],
  ])("%s fails: %s", (options, error) => {
    expect(resolve(options)).toBe(error);
  });

  it("tell the type as far as the text does", () => {
    expect([mountOf("target=/m").type, mountOf("type=Cache").type, mountOf("type=$t").type]).toEqual([
      "bind",
      "cache",
      undefined,
    ]);
  });
});

describe("a mount's mistake", () => {
  it.each([
    ["type=cach,target=/x", "type=cach".slice(5), "cache"],
    ["type=cache,targt=/x", "targt", "target"],
    ["type=cache,target=/x,sharing=lockd", "lockd", "locked"],
    ["type=bind,target=/x,size=1", "size=1", undefined],
    ["target=$\\{,x", "--mount=target=$\\{,x", undefined],
    ['"type=cach",target=/x', '--mount="type=cach",target=/x', "cache"],
  ])("in %s is %s", (options, words, suggestion) => {
    const result = resolveMountOptions(mountOf(options), (text) => expandWord(text, VARIABLES, "\\"));
    if (result.ok) throw new Error("no mistake");
    const { start, end } = result.culprit ?? {};
    expect(`RUN --mount=${options} x`.slice(start?.character, end?.character)).toBe(words);
    expect(result.suggestion).toBe(suggestion);
  });
});

describe("a size", () => {
  it.each<[string, number | undefined]>([
    ["1", 1],
    ["1b", 1],
    ["1k", 1024],
    ["1.5 GiB", 1.5 * 1024 ** 3],
    ["+1e3", 1000],
    [".5kb", 512],
    ["2.", 2],
    ["5 ", 5],
    ["-0", 0],
    ["9p", 9 * 1024 ** 5],
    ["", undefined],
    ["k", undefined],
    [" 5", undefined],
    ["1  k", undefined],
    ["1bb", undefined],
    ["1ki", undefined],
    ["-1", undefined],
    ["1.2.3", undefined],
    ["8192p", undefined],
  ])("%j is %s", (text, bytes) => {
    expect(parseMemorySize(text)).toBe(bytes);
  });
});

/** The fields of a record that has no mistakes. */
function fieldsOf(text: string): readonly string[] {
  const csv = parseCsvFields(text);
  return csv.ok ? csv.fields.map((field) => field.text) : [csv.error];
}

describe("CSV", () => {
  it.each([
    ["a,b", ["a", "b"]],
    ["a,", ["a", ""]],
    ['"a,b",c', ["a,b", "c"]],
    ['"a""b"', ['a"b']],
    ['""', [""]],
  ])("%s", (text, fields) => {
    expect(fieldsOf(text)).toEqual(fields);
  });

  it("tells where each field stands, quotes included", () => {
    expect(parseCsvFields('a,"b,c",')).toEqual({
      ok: true,
      fields: [
        { text: "a", start: 0, end: 1 },
        { text: "b,c", start: 2, end: 7 },
        { text: "", start: 8, end: 8 },
      ],
    });
  });

  it.each(['a"b', '"a', '"a"b'])("%s is refused", (text) => {
    expect(parseCsvFields(text)).toMatchObject({ ok: false });
  });

  it("reads back any fields that are written with quotes", () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (fields) => {
        const text = fields.map((field) => `"${field.replaceAll('"', '""')}"`).join(",");
        expect(fieldsOf(text)).toEqual(fields);
      }),
    );
  });
});
