import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";

/** A machine of its own, in so far as its network goes, connected to another one that stands for the outside. */
export interface NetworkWorld extends Disposable {
  /** Words before a program's that runs on the machine, or outside. */
  readonly machine: readonly string[];
  readonly outside: readonly string[];
  readonly machineAddress: string;
  readonly outsideAddress: string;
  /** Where engines of the machine write down what they change. */
  readonly changes: string;
  /** What an engine could have left on the machine: devices, rules, forwarding. */
  left(): MachineState;
  /** Starts a server that answers every connection with the address it came from; resolves when it listens. */
  serve(where: "machine" | "outside", address: string, port: number): Promise<void>;
}

export interface MachineState {
  readonly devices: readonly string[];
  readonly rules: string;
  readonly forwards: string;
}

const MACHINE_ADDRESS = "203.0.113.2";
const OUTSIDE_ADDRESS = "203.0.113.1";
const ECHO = `const [address, port] = process.argv.slice(1);
require("node:net").createServer((peer) => peer.end(peer.remoteAddress + "\\n")).listen(Number(port), address, () => console.log("ready"));`;

/** Makes the two; throws where this machine doesn't allow that. */
export function createNetworkWorld(): NetworkWorld {
  const id = randomBytes(3).toString("hex");
  const names = { machine: `machine-${id}`, outside: `outside-${id}` };
  const servers: (() => void)[] = [];
  const into = (name: string) => ["nsenter", `--net=/run/netns/${name}`, "--"];
  const ip = (...words: readonly string[]) => execFileSync("ip", words, { stdio: ["ignore", "pipe", "pipe"] });
  for (const name of Object.values(names)) {
    ip("netns", "add", name);
    ip("-n", name, "link", "set", "lo", "up");
  }
  ip("-n", names.machine, "link", "add", "up0", "type", "veth", "peer", "name", "down0", "netns", names.outside);
  ip("-n", names.machine, "addr", "add", `${MACHINE_ADDRESS}/24`, "dev", "up0");
  ip("-n", names.outside, "addr", "add", `${OUTSIDE_ADDRESS}/24`, "dev", "down0");
  ip("-n", names.machine, "link", "set", "up0", "up");
  ip("-n", names.outside, "link", "set", "down0", "up");
  ip("-n", names.machine, "route", "add", "default", "via", OUTSIDE_ADDRESS);
  const [program = "", ...enter] = into(names.machine);
  const say = (...words: readonly string[]) => execFileSync(program, [...enter, ...words], { encoding: "utf8" });
  say("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward");
  const changes = `/run/ashlar/network-${fs.statSync(`/run/netns/${names.machine}`).ino}`;
  return {
    machine: into(names.machine),
    outside: into(names.outside),
    machineAddress: MACHINE_ADDRESS,
    outsideAddress: OUTSIDE_ADDRESS,
    changes,
    left: () => ({
      devices: say("ip", "-o", "link").match(/(?<=^\d+: )[^:@]+/gm) ?? [],
      rules: say("nft", "list", "ruleset"),
      forwards: say("cat", "/proc/sys/net/ipv4/conf/up0/forwarding").trim(),
    }),
    async serve(where, address, port) {
      const [command = "", ...args] = into(names[where]);
      const child = spawn(command, [...args, process.execPath, "-e", ECHO, address, String(port)], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      servers.push(() => child.kill("SIGKILL"));
      await once(child.stdout, "data");
    },
    [Symbol.dispose]() {
      for (const stop of servers) stop();
      for (const name of Object.values(names)) ip("netns", "del", name);
      fs.rmSync(changes, { recursive: true, force: true });
    },
  };
}
