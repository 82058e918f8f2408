import { describe, expect, it } from "vitest";
import type { Instruction } from "../../src/frontend/dockerfile/ast.js";
import { parseDockerfile, parseInstructionText } from "../../src/frontend/dockerfile/parser.js";

/** The instructions of a Dockerfile that has no errors. */
function parse(text: string): readonly Instruction[] {
  const { dockerfile, diagnostics } = parseDockerfile(text, "Dockerfile");
  expect(diagnostics).toEqual([]);
  return dockerfile.instructions;
}

/** The instruction that TEXT is, in a stage. */
function one(text: string, directives = ""): Instruction {
  const instruction = parse(`${directives}FROM base\n${text}\n`).at(1);
  if (!instruction) throw new Error("no instruction");
  return instruction;
}

/** The errors of a Dockerfile as `line: message`. */
function errors(text: string): readonly string[] {
  const { diagnostics } = parseDockerfile(text, "Dockerfile");
  return diagnostics.map(({ message, location }) => `${location?.startLine}: ${message}`);
}

describe("a file", () => {
  it.each([
    ["", "the Dockerfile cannot be empty"],
    ["# only\n\n# comments\n", "file with no instructions"],
    ["ARG A=1\n", "dockerfile contains no stages to build"],
    ["LABEL a=1\nFROM base\n", "no build stage in current context"],
  ])("%j fails: %s", (text, error) => {
    expect(errors(text)).toEqual([`1: ${error}`]);
  });

  it("is cut into ARGs ahead of the first FROM, and stages", () => {
    const { dockerfile } = parseDockerfile(
      "ARG A\nARG B=1\nFROM a AS one\nRUN x\nFROM one\nARG A\nCMD y\n",
      "Dockerfile",
    );
    expect(dockerfile.globalArgs.map((instruction) => instruction.args[0]?.key)).toEqual(["A", "B"]);
    expect(dockerfile.stages.map((stage) => [stage.index, stage.from.image.text, stage.instructions.length])).toEqual([
      [0, "a", 1],
      [1, "one", 2],
    ]);
  });

  it("has every one of its errors reported, in order", () => {
    expect(errors("FRM x\nFROM a b\nRUN --nope x\nENV\nCOPY a\nRUN <<EOF\nnever ends\n")).toEqual([
      "1: dockerfile parse error on line 1: unknown instruction: FRM (did you mean FROM?)",
      "2: dockerfile parse error on line 2: FROM requires either one or three arguments",
      "3: dockerfile parse error on line 3: unknown flag: --nope",
      "4: dockerfile parse error on line 4: ENV requires at least one argument",
      "5: dockerfile parse error on line 5: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
      "6: unterminated heredoc",
    ]);
  });

  it("has all mistakes in the flags of an instruction reported, BuildKit's first", () => {
    const flags = '--network --mount=a\\"b --mount=from=$x --security=no --x --device=a,b';
    expect(errors(`FROM a\nRUN ${flags} x\nCOPY --link=x --form=a a b\n`)).toEqual(
      [
        "missing a value on flag: --network",
        "unknown flag: --x",
        "invalid field 'b' must be a key=value pair",
        'failed to parse csv mounts: parse error on line 1, column 2: bare " in non-quoted field',
        "'from' doesn't support variable expansion, define alias stage instead",
        'security "no" is not valid',
        "expecting boolean value for flag --link, not: x",
        "unknown flag: --form (did you mean from?)",
      ].map(
        (message, index) => `${index < 6 ? 2 : 3}: dockerfile parse error on line ${index < 6 ? 2 : 3}: ${message}`,
      ),
    );
  });

  it("of nothing but errors has a bounded number of them reported", () => {
    const told = parseDockerfile("x\n".repeat(5000), "Dockerfile").diagnostics;
    expect(told).toHaveLength(1001);
    expect(told.at(-1)).toMatchObject({
      message: "4000 more mistakes are not listed",
      omitted: 4000,
      location: { startLine: 1001, endLine: 1001 },
    });
  });

  it("may begin with a byte order mark", () => {
    expect(parse("\ufeff# escape=`\nFROM base\nLABEL a=x\\y\n").at(1)).toMatchObject({ pairs: [{ value: "x\\y" }] });
  });

  it("says nothing else of an instruction with a line that is too long", () => {
    const tooLong = (line: number) => `${line}: dockerfile line greater than max allowed size of 65535`;
    const pairs = Array.from({ length: 8000 }, (_, n) => `a${n}=$b`).join(" ");
    expect(errors(`FROM base\nENV ${pairs}\n`)).toEqual([tooLong(2)]);
    expect(errors(`FROM base\nENV a=b \\\n  ${pairs} \\\n  c\nENV d\n`)).toEqual([
      tooLong(3),
      "5: ENV must have two arguments",
    ]);
    expect(errors(`FROM base\nRUN <<A cat ${"x".repeat(65_536)} <<B\nFOO\nA\nBAR\nB\nBAZ\n`)).toEqual([
      tooLong(2),
      "7: dockerfile parse error on line 7: unknown instruction: BAZ",
    ]);
    expect(errors(`${"x".repeat(65_536)}\n`)).toEqual([tooLong(1)]);
  });

  it("may have lines up to 65535 bytes", () => {
    expect(errors(`FROM base\nRUN ${"x".repeat(65_531)}\n`)).toEqual([]);
    expect(errors(`FROM base\nRUN ${"é".repeat(32_766)}\n`)).toEqual([
      "2: dockerfile line greater than max allowed size of 65535",
    ]);
  });
});

describe("lines", () => {
  it("are joined where they end in the escape character, blanks behind it or not", () => {
    expect(one("LABEL a=1 \\  \n  b=2 \\\t\n\n# comment\n   # another\n  \t\n c=3")).toMatchObject({
      original: "LABEL a=1   b=2  c=3",
      pairs: [{ key: "a" }, { key: "b" }, { key: "c" }],
    });
  });

  it("are not joined where the escape character is escaped", () => {
    expect(parse("FROM base\nRUN echo \\\\\nRUN y\n")).toHaveLength(3);
  });

  it("may end in the escape character at the end of the file", () => {
    expect(one("LABEL a=1 \\")).toMatchObject({ pairs: [{ key: "a", value: "1" }] });
  });

  it("may end in carriage returns", () => {
    const [, env, cmd] = parse('# escape=`\r\nFROM base\r\n\r\nENV A=one `\r\n  B=two\r\nCMD ["sh"]\r\n').slice(0, 3);
    expect(env).toMatchObject({ pairs: [{ value: "one" }, { value: "two" }] });
    expect(cmd).toMatchObject({ command: { form: "exec", args: ["sh"] } });
  });

  it("that are empty among continued ones are noted at the last line of their instruction", () => {
    const { dockerfile } = parseDockerfile("FROM base\nRUN a \\\n\n  b\nRUN c\n", "Dockerfile");
    expect(dockerfile.emptyContinuations).toEqual([4]);
  });

  it("that are comments belong to the instruction below, up to an empty comment", () => {
    expect(one("# dropped\n#\n# one\n\n#two\nRUN x")).toMatchObject({ comments: ["one", "two"] });
    expect(one("  # indented\nRUN x")).toMatchObject({ comments: ["# indented"] });
  });
});

describe("directives", () => {
  const directives = (text: string) => parseDockerfile(`${text}FROM base\n`, "Dockerfile").dockerfile.directives;

  it("may be in any case, with blanks around the equals sign", () => {
    const found = directives("#  SynTax = docker/dockerfile:1 \n# Escape=`\n#check=skip=all;error=true\n");
    expect(found).toMatchObject({
      escape: "`",
      syntax: { text: "docker/dockerfile:1", range: { start: { line: 1, character: 12 } } },
      check: { text: "skip=all;error=true" },
    });
  });

  it.each([
    "# a comment\n# escape=`\n",
    "\n# escape=`\n",
    "# flavour=plain\n# escape=`\n",
    "ARG A\n# escape=`\n",
    "#!/usr/bin/env x\n# escape=`\n",
  ])("end with anything else: %j", (text) => {
    expect(directives(text).escape).toBe("\\");
  });

  it("of syntax and check may stand behind a #! line, but not be indented", () => {
    expect(directives("#!/usr/bin/env x\n# check=skip=all\n").check?.text).toBe("skip=all");
    expect(directives(" # check=skip=all\n").check).toBeUndefined();
    expect(directives(" # escape=`\n").escape).toBe("`");
  });

  it.each([
    ["# escape=x\n", "1: invalid escape token 'x' does not match ` or \\"],
    ["# escape=`\n# escape=`\n", "2: only one escape parser directive can be used"],
  ])("%j fails: %s", (text, error) => {
    expect(errors(`${text}FROM base\n`)).toEqual([error]);
  });
});

describe("flags", () => {
  it.each([
    ["RUN --nonsense x", "unknown flag: --nonsense"],
    ["RUN --mounts=type=tmpfs x", "unknown flag: --mounts (did you mean mount?)"],
    ["FROM --plattform=x base", "unknown flag: --plattform (did you mean platform?)"],
    ["ADD --from=x a b", "unknown flag: --from"],
    ["COPY --constructor a b", "unknown flag: --constructor"],
    ["RUN --network=none --network=host x", "duplicate flag specified: --network"],
    ["COPY --chown a b", "missing a value on flag: --chown"],
    ["COPY --link= a b", "missing a value on flag: --link"],
    ["COPY --link=yes a b", "expecting boolean value for flag --link, not: yes"],
    ["RUN --network=bridge x", 'invalid network mode "bridge"'],
    ["RUN --security=relaxed x", 'security "relaxed" is not valid'],
    ["RUN --mount= x", "failed to parse csv mounts: EOF"],
    ["RUN --mount=from=$x,target=/m x", "'from' doesn't support variable expansion, define alias stage instead"],
    ["RUN --device=a,b x", "invalid field 'b' must be a key=value pair"],
    ["RUN --device=a,nam=b x", "unexpected key 'nam' in 'nam=b' (did you mean name?)"],
    ["ENV --x a=b", "unknown flag: --x"],
    ["ONBUILD --x RUN y", "unknown flag: --x"],
  ])("%s fails: %s", (text, error) => {
    expect(errors(`FROM base\n${text}\n`)).toEqual([`2: dockerfile parse error on line 2: ${error}`]);
  });

  it("of ARG and STOPSIGNAL are ignored", () => {
    expect(one("ARG --x A")).toMatchObject({ args: [{ key: "A" }] });
    expect(one("STOPSIGNAL --x 9")).toMatchObject({ signal: { text: "9" } });
  });

  it("lose their quotes and escapes", () => {
    const flags = one(`COPY --chown="a b":'c' --exclude=x\\ y a b`).flags;
    expect(flags.map((flag) => flag.value)).toEqual(["a b:c", "x y"]);
  });

  it("are read byte by byte, as BuildKit reads them: 85 and A0 are blanks, the others letters", () => {
    expect(one("COPY --exclude=é --exclude=🐳 a b")).toMatchObject({
      excludes: ["Ã©", "ð\x9f\x90³"],
      sources: [{ text: "a" }],
    });
    const cut = one("COPY --exclude=à.txt a b");
    expect(cut).toMatchObject({ excludes: ["Ã"], sources: [{ text: ".txt" }, { text: "a" }] });
    expect(cut.flags).toMatchObject([{ range: { start: { character: 5 }, end: { character: 16 } } }]);
    expect(one('COPY --exclude="à b" a b')).toMatchObject({ excludes: ["Ã\xa0 b"] });
  });

  it("begin only behind the blanks that part words", () => {
    expect(one("RUN \u3000--network=none x")).toMatchObject({
      network: undefined,
      command: { text: "--network=none x" },
    });
  });

  it.each([
    ["RUN --nettwork=none x", 4, 14, "--network", "unknown flag: --nettwork (did you mean network?)"],
    ["COPY --link=ture a b", 12, 16, "true", "expecting boolean value for flag --link, not: ture (did you mean true?)"],
    ["RUN --network=hosts x", 14, 19, "host", 'invalid network mode "hosts" (did you mean host?)'],
    ["RUN --security=insecur x", 15, 22, "insecure", 'security "insecur" is not valid (did you mean insecure?)'],
    ["RUN --mount=type=bind,from=a$B,target=/x x", 22, 30, undefined, "'from' doesn't support variable expansion"],
  ])("that are wrong are told with what was meant: %s", (text, start, end, suggestion, message) => {
    const { diagnostics } = parseDockerfile(`FROM base\n${text}`, "D");
    expect(diagnostics).toHaveLength(1);
    expect(diagnostics[0]).toMatchObject({
      message: expect.stringContaining(message),
      culprit: { start: { line: 2, character: start }, end: { line: 2, character: end } },
    });
    expect(diagnostics[0]?.suggestion).toBe(suggestion);
  });

  it("end at a lone --", () => {
    expect(one("RUN --network=none -- --version")).toMatchObject({
      network: "none",
      command: { form: "shell", text: "--version" },
    });
  });

  it("become the fields of COPY and ADD", () => {
    expect(one("COPY --link --parents=FALSE --chmod=u+x --from=Stage --exclude=a --exclude=b x y z/")).toMatchObject({
      link: true,
      parents: false,
      chmod: "u+x",
      from: { value: "Stage" },
      excludes: ["a", "b"],
      sources: [{ text: "x" }, { text: "y" }],
      destination: { text: "z/" },
      checksum: undefined,
    });
    expect(one("ADD --keep-git-dir=true --checksum=sha256:0 --unpack=false x y")).toMatchObject({
      keepGitDir: true,
      checksum: "sha256:0",
      unpack: false,
    });
  });

  it("of RUN become mounts and devices", () => {
    expect(one("RUN --mount=TYPE=Cache,Target=/c,ro --device=vendor.com/x=y,required x")).toMatchObject({
      mounts: [
        {
          type: "cache",
          from: undefined,
          options: [
            { key: "type", value: "Cache", field: "TYPE=Cache" },
            { key: "target", value: "/c" },
            { key: "ro", value: undefined },
          ],
        },
      ],
      devices: [{ name: "vendor.com/x=y", required: true }],
    });
  });
});

describe("keywords", () => {
  it("are in any case, by the letters that Go has it for", () => {
    expect(one("wor\u212adir /x")).toMatchObject({ kind: "workdir" });
    expect(one("WORKD\u0130R /x")).toMatchObject({ kind: "workdir" });
    expect(parse("FROM a A\u017f b")).toMatchObject([{ name: { text: "b" } }]);
    expect(errors("FROM a\nU\u017fER x")).toEqual([
      "2: dockerfile parse error on line 2: unknown instruction: U\u017fER (did you mean user?)",
    ]);
  });

  it.each([
    ["FRM x", "FRM x", "unknown instruction: FRM (did you mean FROM?)", "FROM"],
    ["frmo x", "frmo x", "unknown instruction: frmo (did you mean from?)", "from"],
    ["nonsense", "nonsense", "unknown instruction: nonsense", undefined],
  ])("that are none are told with a near one: %s", (_, text, message, suggestion) => {
    const [error] = parseDockerfile(text, "Dockerfile").diagnostics;
    expect(error?.message).toBe(`dockerfile parse error on line 1: ${message}`);
    expect(error?.suggestion).toBe(suggestion);
  });

  it.each([
    ["RUN a &&\nb", "If it belongs to line 2, that line has to end in \\."],
    ["RUN a\n  b", "If it belongs to line 2, that line has to end in \\."],
    ["RUN a `\nb", "Line 2 goes on only if it ends in \\, the escape character of this file."],
    ["RUN a &&\n\nb", undefined],
    ["RUN a\nb", undefined],
  ])("that are missing where a line should have gone on come with a hint: %j", (text, hint) => {
    expect(parseDockerfile(`FROM a\n${text}`, "Dockerfile").diagnostics[0]?.hint).toBe(hint);
  });
});

describe("JSON and shell form", () => {
  it("is as Go reads it: too large numbers and too deep arrays are no JSON, half a pair is no letter", () => {
    expect(one("CMD [1e999]")).toMatchObject({ command: { form: "shell", text: "[1e999]" } });
    const deep = "[".repeat(10_001) + "]".repeat(10_001);
    expect(one(`CMD ${deep}`)).toMatchObject({ command: { form: "shell" } });
    expect(one('CMD ["\\ud800", "\\ud83d\\udc33"]')).toMatchObject({ command: { args: ["\ufffd", "\ud83d\udc33"] } });
    expect(errors("FROM a\nHEALTHCHECK CMD \u3000[1]")).toHaveLength(1);
    expect(one("HEALTHCHECK CMD \u3000a")).toMatchObject({ check: { command: { text: "\u3000a" } } });
  });

  it.each([
    ['CMD   [ "a\\tb" ,"\\u00e9\\"q\\"", "" ]  ', { form: "exec", args: ["a\tb", 'é"q"', ""] }],
    ["CMD []", { form: "exec", args: [] }],
    ["CMD", { form: "shell", text: "" }],
    ["CMD ['a']", { form: "shell", text: "['a']" }],
    ['CMD ["a",]', { form: "shell", text: '["a",]' }],
    ['CMD ["a"] b', { form: "shell", text: '["a"] b' }],
    ["ENTRYPOINT  a  b ", { form: "shell", text: "a  b" }],
  ])("%s", (text, command) => {
    expect(one(text)).toMatchObject({ command });
  });

  it.each(["RUN", "COPY", "VOLUME", "SHELL", "HEALTHCHECK CMD", "ONBUILD RUN"])(
    "%s refuses an array of anything but strings",
    (keyword) => {
      expect(errors(`FROM base\n${keyword} ["a", 1]\n`)).toEqual([
        "2: when using JSON array syntax, arrays must be comprised of strings only",
      ]);
    },
  );

  it("gives COPY and VOLUME names with blanks, and falls back to words", () => {
    expect(one('COPY ["a b", "/$D/"]')).toMatchObject({ sources: [{ text: "a b" }], destination: { text: "/$D/" } });
    expect(one(`VOLUME ["/a", '/b']`)).toMatchObject({ paths: [{ text: '["/a",' }, { text: "'/b']" }] });
    expect(one('VOLUME ["/a", " /b "]')).toMatchObject({ paths: [{ text: "/a" }, { text: "/b" }] });
  });
});

describe("instructions", () => {
  it.each([
    ["ENV a", "ENV must have two arguments"],
    ["LABEL a=1 b", 'Syntax error - can\'t find = in "b". Must be of the form: name=value'],
  ])("%s fails: %s", (text, error) => {
    expect(errors(`FROM base\n${text}\n`)).toEqual([`2: ${error}`]);
  });

  it.each([
    ["FROM", "FROM requires either one or three arguments"],
    ["FROM a b c", "FROM requires either one or three arguments"],
    ["FROM a AS 1st", 'invalid name for build stage: "1st", name can\'t start with a number or contain symbols'],
    ["ENV =x", "ENV names can not be blank"],
    ["ARG =x", "ARG names can not be blank"],
    ["ARG", "ARG requires at least one argument"],
    ["LABEL", "LABEL requires at least one argument"],
    ["EXPOSE", "EXPOSE requires at least one argument"],
    ["VOLUME", "VOLUME requires at least one argument"],
    ['VOLUME [""]', "VOLUME specified can not be an empty string"],
    ["WORKDIR", "WORKDIR requires exactly one argument"],
    ["USER", "USER requires exactly one argument"],
    ["STOPSIGNAL", "STOPSIGNAL requires exactly one argument"],
    ["MAINTAINER", "MAINTAINER requires exactly one argument"],
    ["SHELL", "SHELL requires at least one argument"],
    ["SHELL []", "SHELL requires at least one argument"],
    ["SHELL bash -c", "SHELL requires the arguments to be in JSON form"],
    ["ONBUILD", "ONBUILD requires at least one argument"],
    ["ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
    ["ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"],
    ["ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"],
    ["HEALTHCHECK", "HEALTHCHECK requires at least one argument"],
    ["HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"],
    ["HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"],
    ["HEALTHCHECK run x", 'Unknown type "RUN" in HEALTHCHECK (try CMD)'],
    ["HEALTHCHECK --interval=1us CMD x", 'Interval "interval" cannot be less than 1ms'],
    ["HEALTHCHECK --timeout=-1s CMD x", 'Interval "timeout" cannot be less than 1ms'],
    ["HEALTHCHECK --timeout=5 CMD x", 'time: missing unit in duration "5"'],
    ["HEALTHCHECK --timeout=5x CMD x", 'time: unknown unit "x" in duration "5x"'],
    ["HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"],
    ["HEALTHCHECK --retries=x CMD x", 'strconv.ParseInt: parsing "x": invalid syntax'],
    ["COPY a <<EOF", "COPY cannot accept a heredoc as a destination"],
    ["wrkdir /x", "unknown instruction: wrkdir (did you mean workdir?)"],
    ["toString x", "unknown instruction: toString"],
  ])("%s fails: %s", (text, error) => {
    const end = text.includes("<<EOF") ? "EOF\n" : "";
    expect(errors(`FROM base\n${text}\n${end}`)).toEqual([`2: dockerfile parse error on line 2: ${error}`]);
  });

  it("read FROM with its name", () => {
    expect(parse("from --platform=$P a:1 aS Two\n").at(0)).toMatchObject({
      kind: "from",
      image: { text: "a:1" },
      platform: { name: "platform", value: "$P" },
      as: { text: "aS" },
      name: { text: "Two" },
    });
  });

  it("read ENV and LABEL in both forms, quotes and escapes left in", () => {
    expect(one(`ENV a="x  y" b=x\\ y 'c d'=e=f g=`)).toMatchObject({
      legacy: false,
      pairs: [
        { key: "a", value: '"x  y"' },
        { key: "b", value: "x\\ y" },
        { key: "'c d'", value: "e=f" },
        { key: "g", value: "" },
      ],
    });
    expect(one("ENV a one two=2  three")).toMatchObject({
      legacy: true,
      pairs: [{ key: "a", value: "one two=2  three" }],
    });
    expect(one('LABEL a="x b=y')).toMatchObject({ pairs: [{ key: "a", value: '"x b=y' }] });
  });

  it("read ARG with and without values", () => {
    expect(one("ARG a=1 b c='x y'")).toMatchObject({
      args: [
        { key: "a", value: "1" },
        { key: "b", value: undefined },
        { key: "c", value: "'x y'" },
      ],
    });
  });

  it("read the rest of the line as one word where only one is meant", () => {
    expect(one("WORKDIR /a b # c")).toMatchObject({ path: { text: "/a b # c" } });
  });

  it("read HEALTHCHECK with its timing in nanoseconds", () => {
    expect(one("HEALTHCHECK --interval=1m30s --timeout=1.5s --retries=3 CMD check it")).toMatchObject({
      check: {
        type: "cmd",
        command: { form: "shell", text: "check it" },
        interval: 90e9,
        timeout: 1.5e9,
        startPeriod: 0,
        startInterval: 0,
        retries: 3,
      },
    });
    expect(one("HEALTHCHECK none")).toMatchObject({ check: { type: "none" } });
  });

  it("keep an ONBUILD trigger as it is written", () => {
    expect(one("OnBuild RUN  a \\\n  b ")).toMatchObject({ trigger: "RUN  a   b " });
    expect(one("ONBUILD NONSENSE x")).toMatchObject({ trigger: "NONSENSE x" });
    expect(one("ONBUILD COPY <<-A <<B /d/\n\ta\n\tA\nb\nB")).toMatchObject({
      trigger: "COPY <<-A <<B /d/\n\ta\nA\nb\nB",
    });
  });
});

describe("heredocs", () => {
  it("follow in the order in which they are named, and nothing in them is an instruction", () => {
    const text = "RUN cat <<ONE 3<<-'TWO'\n# not a comment\nFROM x \\\nONE\n\t\tfour\n\tTWO\nRUN y";
    const run = one(text);
    expect(run).toMatchObject({
      command: { form: "shell", text: "cat <<ONE 3<<-'TWO'" },
      heredocs: [
        { name: "ONE", content: "# not a comment\nFROM x \\\n", expand: true, chomp: false, fileDescriptor: undefined },
        { name: "TWO", content: "four\n", raw: "\t\tfour\n", expand: false, chomp: true, fileDescriptor: 3 },
      ],
      range: { start: { line: 2 }, end: { line: 7 } },
    });
    expect(parse(`FROM base\n${text}\n`)).toHaveLength(3);
  });

  it("may have any part of their name quoted, blanks among it", () => {
    expect(one('RUN <<"E F"\nx\nE F')).toMatchObject({ heredocs: [{ name: "E F", expand: false }] });
    expect(one('RUN <<E"O"F\nx\nEOF')).toMatchObject({ heredocs: [{ name: "EOF", expand: false }] });
    expect(one("RUN << EOF\nx\nEOF")).toMatchObject({ heredocs: [{ name: "EOF", expand: true }] });
  });

  it("may end with the file", () => {
    expect(parse("FROM base\nRUN <<EOF\nx\nEOF").at(1)).toMatchObject({ heredocs: [{ content: "x\n" }] });
  });

  it("are sources of COPY beside files", () => {
    expect(one("COPY a <<b.txt c /d/\nbody\nb.txt")).toMatchObject({
      sources: [{ text: "a" }, { text: "c" }],
      heredocs: [{ name: "b.txt", content: "body\n", word: { text: "<<b.txt" } }],
      destination: { text: "/d/" },
    });
  });

  it("do not begin within quotes, in arrays, or in other instructions", () => {
    expect(parse('FROM base\nRUN echo "<<EOF"\nRUN ["<<EOF"]\nCMD cat <<EOF\nRUN $((1<<2)) <<<x\n')).toHaveLength(5);
  });

  it("that never end are an error over all the lines they took", () => {
    const { diagnostics } = parseDockerfile("FROM base\nRUN <<EOF\nx\ny\n", "Dockerfile");
    expect(diagnostics).toMatchObject([{ message: "unterminated heredoc", location: { startLine: 2, endLine: 4 } }]);
  });
});

describe("places", () => {
  it("count lines from 1 and characters from 0, through continuations", () => {
    expect(one("  COPY --link a \\\n   b \\\n # comment\n c")).toMatchObject({
      keyword: { text: "COPY", range: { start: { line: 2, character: 2 }, end: { line: 2, character: 6 } } },
      flags: [{ range: { start: { line: 2, character: 7 }, end: { line: 2, character: 13 } } }],
      sources: [
        { range: { start: { line: 2, character: 14 }, end: { line: 2, character: 15 } } },
        { range: { start: { line: 3, character: 3 } } },
      ],
      destination: { range: { start: { line: 5, character: 1 }, end: { line: 5, character: 2 } } },
      range: { start: { line: 2 }, end: { line: 5 } },
    });
  });

  it("of an error are the instruction's lines and the very words", () => {
    const text = "FROM base\nRUN --nope=1 x\nLABEL a=1 \\\n\t\u6f22 \\\r\n  # c\n b=1\nSHEL [1\\\n2]\nCMD [1,\\\n2]\n";
    const { diagnostics } = parseDockerfile(text, "D");
    expect(diagnostics.map(({ location, culprit }) => [location?.startLine, location?.endLine, culprit])).toEqual([
      [2, 2, { start: { line: 2, character: 4 }, end: { line: 2, character: 10 } }],
      [3, 6, { start: { line: 4, character: 1 }, end: { line: 4, character: 2 } }],
      [7, 8, { start: { line: 7, character: 0 }, end: { line: 7, character: 4 } }],
      [9, 10, { start: { line: 9, character: 4 }, end: { line: 10, character: 2 } }],
    ]);
  });
});

describe("a trigger", () => {
  const place = { name: "Dockerfile", range: { start: { line: 7, character: 0 }, end: { line: 8, character: 3 } } };

  it("is one instruction, heredocs included", () => {
    expect(parseInstructionText("COPY <<EOF /f\nx\nEOF", place).instruction).toMatchObject({
      kind: "copy",
      heredocs: [{ content: "x\n" }],
    });
  });

  it.each([
    ["NONSENSE x", "unknown instruction: NONSENSE"],
    ["RUN a\nRUN b", "onbuild trigger should be a single expression"],
    ["FROM x", "onbuild trigger should be a single expression"],
    ["", "onbuild trigger should be a single expression"],
  ])("%j fails where it fires", (text, message) => {
    expect(parseInstructionText(text, place)).toEqual({
      instruction: undefined,
      diagnostics: [{ severity: "error", message, location: { file: "Dockerfile", startLine: 7, endLine: 8 } }],
    });
  });
});
