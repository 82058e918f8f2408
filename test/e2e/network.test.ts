import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { beforeEach, describe, expect, type TestContext, test } from "vitest";
import { createNetworkWorld, type NetworkWorld } from "./network-world.js";
import { eventually, needs, type RunOptions, World } from "./world.js";

/** Reads what a server says. The client keeps its own side open: passt of 2023 loses what comes to one that has closed it. */
const ASK = 'mkfifo /hold; ask() { timeout 5 nc -w 2 "$1" "$2" <> /hold || echo none; };';
const UNTOUCHED = { devices: ["lo", "up0"], rules: "", forwards: "0" };

let world: World;
let network: NetworkWorld;

beforeEach(async (context: TestContext) => {
  needs(context, "ip", "nft");
  world = new World();
  network = createNetworkWorld();
  return async () => {
    await world[Symbol.asyncDispose]();
    network[Symbol.dispose]();
  };
});

/** Builds a Dockerfile of RUN lines on the machine and gives what the steps said. */
async function build(
  lines: readonly string[],
  words: readonly string[] = [],
  options: RunOptions = {},
): Promise<string> {
  const context = world.files({ Dockerfile: `FROM base\n${lines.join("\n")}\n` });
  const ended = await world.build([...words, context], { under: network.machine, ...options });
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  return ended.stderr;
}

const lineOf = (said: string, pattern: RegExp) => said.match(pattern)?.[0];
const ANSWER = (label: string) => new RegExp(`(?<= ${label}=)\\S+$`, "m");

describe.each(["runc", "crun", "sandbox"] as const)("a step run by %s", (kind) => {
  const env = kind === "sandbox" ? { ASHLAR_ISOLATION: "sandbox" } : { ASHLAR_RUNTIME: kind };

  test("reaches the outside under the machine's address, and neither its loopback nor its devices", async (context) => {
    if (kind !== "sandbox") needs(context, kind);
    await network.serve("outside", network.outsideAddress, 8080);
    await network.serve("machine", "127.0.0.1", 8081);
    const said = await build(
      [
        `RUN ${ASK} echo outside=$(ask ${network.outsideAddress} 8080)`,
        "RUN echo inner=$(nc -w 1 127.0.0.1 8081 < /dev/null 2> /dev/null || echo none)",
        "RUN echo devices=$(ls /sys/class/net | tr '\\n' ,); echo counted=$(awk 'NR > 2' /proc/net/dev | wc -l)",
      ],
      [],
      { env },
    );
    expect(lineOf(said, ANSWER("outside"))).toBe(network.machineAddress);
    expect(lineOf(said, ANSWER("inner"))).toBe("none");
    expect(lineOf(said, ANSWER("devices"))).toBe("eth0,lo,");
    expect(lineOf(said, ANSWER("counted"))).toBe("2");
    await eventually(() => network.left().devices.length === 2, 2000);
    expect(network.left()).toEqual(UNTOUCHED);
  });
});

test("two steps can listen on one port at once, and don't reach each other", async () => {
  const listen = (own: string, other: string) =>
    `FROM base AS ${own}\nRUN --mount=type=cache,target=/meet ip -o -4 addr show eth0 | awk '{ print $4 }' > /meet/${own}; \\
  (nc -l -p 7000 < /dev/null > /dev/null & nc -l -p 7000 < /dev/null > /dev/null); \\
  nc -l -p 7001 -e echo heard & \\
  until [ -s /meet/${other} ]; do sleep 0.1; done; sleep 0.2; \\
  echo ${own}-self=$(nc -w 2 127.0.0.1 7001 < /dev/null); \\
  echo ${own}-other=$(nc -w 1 $(cat /meet/${other}) 7001 < /dev/null 2> /dev/null || echo none); touch /meet/done-${own}; \\
  until [ -e /meet/done-${other} ]; do sleep 0.1; done; touch /${own}\n`.replace(/^ {2}\(nc.*\n/m, "");
  const Dockerfile = `${listen("a", "b")}${listen("b", "a")}FROM base\nCOPY --from=a /a /\nCOPY --from=b /b /\n`;
  const ended = await world.build([world.files({ Dockerfile })], { under: network.machine });
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  expect(["a-self", "b-self", "a-other", "b-other"].map((label) => lineOf(ended.stderr, ANSWER(label)))).toEqual([
    "heard",
    "heard",
    "none",
    "none",
  ]);
});

test("host-gateway is the machine, as far as it listens to others", async () => {
  await network.serve("machine", "0.0.0.0", 8082);
  const said = await build([`RUN ${ASK} echo gateway=$(ask me 8082)`], ["--add-host", "me:host-gateway"]);
  expect(lineOf(said, ANSWER("gateway"))).toMatch(/^10\.187\.\d+\.\d+$/);
});

test("--network decides for all steps: none has a loopback device, host the machine's, which has to be allowed", async () => {
  const devices = "RUN echo devices=$(ls /sys/class/net | tr '\\n' ,)";
  expect(lineOf(await build([devices], ["--network=none"]), ANSWER("devices"))).toBe("lo,");
  const allowed = ["--network=host", "--allow=network.host"];
  const host = await build(["RUN echo devices=$(awk -F: 'NR > 2 { print $1 }' /proc/net/dev | tr -d ' \\n')"], allowed);
  expect(lineOf(host, ANSWER("devices"))).toMatch(/up0/);
  const Dockerfile = "FROM base\nRUN true # host\n";
  const refused = await world.build(["--network=host", world.files({ Dockerfile })], { under: network.machine });
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("network.host is not allowed") });
});

test("the range avoids what the machine routes to somewhere else", async () => {
  execFileSync(network.machine[0] ?? "", [
    ...network.machine.slice(1),
    ..."ip route add 10.187.0.0/16 via 203.0.113.1".split(" "),
  ]);
  const said = await build(["RUN echo own=$(ip -o -4 addr show eth0 | awk '{ print $4 }')"]);
  expect(lineOf(said, ANSWER("own"))).toMatch(/^10\.192\./);
});

test("a firewall that forwards nothing is told to let steps through, and forgets it afterwards", async (context) => {
  needs(context, "iptables");
  const on = (...words: readonly string[]) =>
    execFileSync(network.machine[0] ?? "", [...network.machine.slice(1), ...words], { encoding: "utf8" });
  on("iptables", "-P", "FORWARD", "DROP");
  on("iptables", "-A", "FORWARD", "-i", "other0", "-j", "ACCEPT");
  const before = on("iptables", "-S");
  await network.serve("outside", network.outsideAddress, 8083);
  const said = await build([`RUN ${ASK} echo outside=$(ask ${network.outsideAddress} 8083)`]);
  expect(lineOf(said, ANSWER("outside"))).toBe(network.machineAddress);
  expect(on("iptables", "-S")).toBe(before);
});

test("kill -9 takes devices and rules along, and the next command takes back the rest", async () => {
  const context = world.files({ Dockerfile: "FROM base\nRUN echo under way $((40 + 2)); sleep 1000\n" });
  const running = world.start(world.buildWords([context]), { under: network.machine });
  await running.says("under way 42");
  expect(network.left()).toMatchObject({ forwards: "1", rules: expect.stringContaining("masquerade") });
  const engine = fs.readFileSync(`/proc/${running.child.pid}/comm`, "utf8");
  expect(engine).not.toBe("nsenter\n");
  running.child.kill("SIGKILL");
  await running.ended;
  await eventually(() => network.left().devices.length === 2 || network.left().devices.join(), 5000);
  expect(network.left().rules).not.toContain("masquerade");
  // Until then the machine, which was not asked to, forwards nothing for others.
  expect(network.left()).toMatchObject({ forwards: "1", rules: expect.stringContaining("ashlar-guard") });
  const other = new World();
  await other.ashlar(["du"], { under: network.machine });
  await other[Symbol.asyncDispose]();
  expect(network.left()).toEqual(UNTOUCHED);
  await world.ashlar(["du"], { under: network.machine });
});

test("engines side by side share what is changed; the last one takes it back", async () => {
  const context = world.files({ Dockerfile: "FROM base\nRUN echo under way $((40 + 2)); sleep 1000\n" });
  const first = world.start(world.buildWords([context]), { under: network.machine });
  await first.says("under way 42");
  const other = new World();
  await network.serve("outside", network.outsideAddress, 8084);
  const Dockerfile = `FROM base\nRUN ${ASK} echo outside=$(ask ${network.outsideAddress} 8084)\n`;
  const ended = await other.build([other.files({ Dockerfile })], { under: network.machine });
  expect(lineOf(ended.stderr, ANSWER("outside"))).toBe(network.machineAddress);
  expect(network.left()).toMatchObject({ forwards: "1" });
  await other[Symbol.asyncDispose]();
  first.child.kill("SIGINT");
  await first.ended;
  await eventually(() => network.left().devices.length === 2, 2000);
  expect(network.left()).toEqual(UNTOUCHED);
});

test("a build without a step that runs asks nothing of the network", async (context) => {
  needs(context, "strace");
  const Dockerfile = world.files({ Dockerfile: "FROM base\nRUN true\n" });
  await world.build([Dockerfile], { under: network.machine });
  const trace = world.path("trace");
  const under = [...network.machine, "strace", "-f", "-e", "trace=unshare,socket,setns", "-o", trace];
  expect(await world.build([Dockerfile], { under })).toMatchObject({ code: 0 });
  expect(fs.readFileSync(trace, "utf8")).not.toMatch(/NEWNET|NETLINK/);
});

describe.each([
  ["pasta", "pasta"],
  ["slirp4netns", "slirp4netns"],
] as const)("with %s", (mode, program) => {
  test("a step reaches the outside, not the machine's loopback, and the machine where it is asked for", async (context) => {
    needs(context, program);
    await network.serve("outside", network.outsideAddress, 8085);
    await network.serve("machine", "127.0.0.1", 8086);
    const env = { ASHLAR_NETWORK: mode };
    const said = await build(
      [
        `RUN ${ASK} echo outside=$(ask ${network.outsideAddress} 8085)`,
        "RUN route=$(ip route | awk '/default/ { print $3 }'); echo inner=$(nc -w 1 127.0.0.1 8086 < /dev/null 2> /dev/null || nc -w 1 $route 8086 < /dev/null 2> /dev/null || echo none)",
      ],
      [],
      { env },
    );
    expect(lineOf(said, ANSWER("outside"))).toBe(network.machineAddress);
    expect(lineOf(said, ANSWER("inner"))).toBe("none");
    const gateway = await build([`RUN ${ASK} echo gateway=$(ask me 8086)`], ["--add-host=me:host-gateway"], { env });
    expect(lineOf(gateway, ANSWER("gateway"))).toBe("127.0.0.1");
    expect(network.left()).toEqual(UNTOUCHED);
  });
});

test("a network that was asked for and does not work is an error, not another network", async () => {
  const context = world.files({ Dockerfile: "FROM base\nRUN true # network\n" });
  const closed = "table inet strict { chain forward { type filter hook forward priority 0; policy drop; }; }";
  execFileSync(network.machine[0] ?? "", [...network.machine.slice(1), "nft", closed]);
  const refused = await world.build([context], { under: network.machine, env: { ASHLAR_NETWORK: "veth" } });
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("the firewall forwards nothing") });
});

/** Runs a program where FILE is another one. */
const covering = (file: string, by: string) => [
  ...network.machine,
  ...["unshare", "--mount", "--propagation", "private", "--", "/bin/sh", "-c"],
  ...['mount --bind "$0" "$1" && shift && exec "$@"', by, file],
];

test("where nothing else works steps share the machine's network, and the build says so once", async () => {
  const on = (...words: readonly string[]) =>
    execFileSync(network.machine[0] ?? "", [...network.machine.slice(1), ...words]);
  on("nft", "table inet strict { chain forward { type filter hook forward priority 0; policy drop; }; }");
  const said = await build(["RUN echo shared=$(ls /sys/class/net | tr '\\n' ,)", "RUN echo again"], [], {
    under: covering("/dev/net/tun", "/dev/null"),
  });
  expect(lineOf(said, ANSWER("shared"))).toContain("up0");
  expect(said.match(/RUN steps share this machine's network/g)).toHaveLength(1);
});

/** Answers every question for a name with 192.0.2.7 (RFC 1035). */
const NAME_SERVER = `const server = require("node:dgram").createSocket("udp4");
server.on("message", (question, { port, address }) => {
  const end = question.indexOf(0, 12) + 5;
  const answer = Buffer.concat([question.subarray(0, end), Buffer.from([192, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7])]);
  answer.set([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], 2);
  server.send(answer, port, address);
}).bind(53, "127.0.0.1", () => console.log("ready"));`;

test("steps look names up by a server that listens on the machine's loopback device", async (context) => {
  const [program = "", ...args] = [...network.machine, process.execPath, "-e", NAME_SERVER];
  const server = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  context.onTestFinished(() => void server.kill("SIGKILL"));
  await once(server.stdout, "data");
  const resolv = world.path("resolv.conf");
  fs.writeFileSync(resolv, "search lan\nnameserver 127.0.0.1\n");
  const options = { under: covering("/etc/resolv.conf", resolv) };
  const look =
    "RUN echo conf=$(cat /etc/resolv.conf | tr ' \\n' _,) && echo address=$(nslookup -type=a name.lan | awk '/^Address/ { print $NF }' | tail -n 1)";
  const said = await build([look], [], options);
  expect(lineOf(said, ANSWER("conf"))).toBe("search_lan,nameserver_127.0.0.11,");
  expect(lineOf(said, ANSWER("address"))).toBe("192.0.2.7");
  needs(context, "slirp4netns");
  const answer = await build([`${look} # slirp4netns`], [], { ...options, env: { ASHLAR_NETWORK: "slirp4netns" } });
  expect(lineOf(answer, ANSWER("conf"))).toBe("search_lan,nameserver_10.187.0.3,");
  expect(lineOf(answer, ANSWER("address"))).toBe("192.0.2.7");
});

test("steps that can't look names up are told of", async () => {
  const resolv = world.path("resolv.conf");
  fs.writeFileSync(resolv, "search lan\n");
  const options = { under: covering("/etc/resolv.conf", resolv) };
  const said = await build(["RUN echo servers=$(grep -c nameserver /etc/resolv.conf)"], [], options);
  expect(lineOf(said, ANSWER("servers"))).toBe("0");
  expect(said).toContain("RUN steps can't look names up: /etc/resolv.conf names no server");
});
