import path from "node:path";
import { canceled, EngineError } from "../base/index.js";
import type { DataPlane, ProcessExit, Spawned } from "../snapshot/index.js";
import type { NetworkDriver, StepNetwork, StepNetworkOptions } from "./network.js";
import { addressIn, formatIpv4, type Prefix } from "./network-range.js";
import { requireProgram } from "./programs.js";
import { findLifeLine, type LifeLine } from "./spawn-step.js";

/** A program that speaks to the outside for a network namespace, by sockets of its own. */
export interface UserModeProgram {
  readonly name: "pasta" | "slirp4netns";
  readonly debianPackage: string;
  /** Its arguments for the namespace FILE. */
  readonly args: (file: string, addresses: UserModeAddresses, options: UserModeSwitches) => readonly string[];
}

export interface UserModeAddresses {
  readonly range: Prefix;
  readonly own: string;
  readonly gateway: string;
  readonly resolver: string;
}

export interface UserModeSwitches {
  readonly reachesMachine: boolean;
  /** The program is to answer questions for names. */
  readonly resolves: boolean;
  /** The program runs as root. */
  readonly root: boolean;
}

const MASK_BITS = 24;
const MTU_BYTES = 65_520;

/** pasta(1): forwards nothing into the step, and what is sent to the gateway to this machine only where the step is to reach it. */
export const PASTA: UserModeProgram = {
  name: "pasta",
  debianPackage: "passt",
  args: (file, { own, gateway, resolver }, { reachesMachine, resolves, root }) => [
    ...["--foreground", "--quiet", "--config-net", "--netns-only", "--ipv4-only"],
    ...["--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"],
    ...["--address", own, "--netmask", String(MASK_BITS), "--gateway", gateway, "--mtu", String(MTU_BYTES)],
    ...["--ns-ifname", "eth0"],
    // With it other servers answer no more (passt 2023_03_09).
    ...(resolves ? ["--dns-forward", resolver] : []),
    ...(reachesMachine ? [] : ["--no-map-gw"]),
    // The namespace's file is where nobody else can get at it, the user that pasta would become included.
    ...(root ? ["--runas", "0"] : []),
    ...["--netns", file],
  ],
};

/** slirp4netns(1). */
export const SLIRP4NETNS: UserModeProgram = {
  name: "slirp4netns",
  debianPackage: "slirp4netns",
  args: (file, { range }, { reachesMachine, resolves }) => [
    ...["--configure", "--enable-seccomp", `--mtu=${MTU_BYTES}`, `--cidr=${formatIpv4(range.address)}/${MASK_BITS}`],
    ...(reachesMachine ? [] : ["--disable-host-loopback"]),
    ...(resolves ? [] : ["--disable-dns"]),
    ...["--netns-type=path", file, "eth0"],
  ],
};

/** As slirp4netns gives them out. */
const GATEWAY_OFFSET = 2;
const RESOLVER_OFFSET = 3;
const OWN_OFFSET = 100;

export interface UserModeOptions {
  readonly plane: Pick<DataPlane, "control" | "spawn">;
  /** A directory in which only the data plane sees mounts. */
  readonly directory: string;
  /** Where to find programs, as PATH has it. */
  readonly searchPath: string;
  /** The addresses inside: not those of what the machine reaches otherwise. */
  readonly range: Prefix;
  readonly root: boolean;
  /** Steps reach none of this machine's name servers. */
  readonly resolves: boolean;
}

/** A driver that runs PROGRAM for each step. Throws EngineError `unavailable` where it is not installed. */
export function openUserMode(program: UserModeProgram, options: UserModeOptions): NetworkDriver {
  const file = requireProgram(program.name, options.searchPath, program.debianPackage);
  return new UserMode(program, file, options);
}

/** How long a program may take to connect a namespace. */
const READY_LIMIT_MS = 10_000;
const READY_PAUSE_MS = 5;
const COMPLAINT_MAX_CHARS = 2048;
const ENV = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
/** Makes the namespace as a file. */
const MAKE = ': > "$1" && exec "$2" --net="$1" -- true';
/** Ends well when the default route is there, and badly with the namespace's program. */
const WAIT = `while kill -0 "$1" 2> /dev/null; do
  while read -r device destination rest; do [ "$destination" = 00000000 ] && exit 0; done < /proc/net/route
  sleep 0.00${READY_PAUSE_MS}
done; exit 1`;

class UserMode implements NetworkDriver {
  readonly name: UserModeProgram["name"];
  readonly description: string;
  readonly #program: UserModeProgram;
  readonly #file: string;
  readonly #options: UserModeOptions;
  readonly #lifeLine: LifeLine;
  readonly #nsenter: string;
  readonly #addresses: UserModeAddresses;
  #count = 0;

  constructor(program: UserModeProgram, file: string, options: UserModeOptions) {
    const { range, searchPath } = options;
    this.name = program.name;
    this.description = `${file} connects each step`;
    this.#program = program;
    this.#file = file;
    this.#options = options;
    this.#lifeLine = findLifeLine(searchPath);
    this.#nsenter = requireProgram("nsenter", searchPath, "util-linux");
    this.#addresses = {
      range,
      own: formatIpv4(addressIn(range, OWN_OFFSET)),
      gateway: formatIpv4(addressIn(range, GATEWAY_OFFSET)),
      resolver: formatIpv4(addressIn(range, RESOLVER_OFFSET)),
    };
  }

  async open({ signal, reachesMachine }: StepNetworkOptions): Promise<StepNetwork> {
    if (signal?.aborted) throw canceled(signal);
    const file = path.join(this.#options.directory, `network-${++this.#count}`);
    await this.#succeed(["/bin/sh", "-c", MAKE, "sh", file, this.#lifeLine.unshare], "making a network namespace");
    try {
      const connected = await this.#connect(file, reachesMachine);
      if (signal?.aborted) {
        await connected.end();
        throw canceled(signal);
      }
      const { gateway, resolver } = this.#addresses;
      const { resolves } = this.#options;
      return {
        entry: { kind: "file", path: file, nsenter: this.#nsenter },
        gateway,
        ...(resolves ? { resolver } : {}),
        [Symbol.asyncDispose]: async () => {
          await connected.end();
          await this.#options.plane.control("unmount", { path: file });
        },
      };
    } catch (error) {
      await this.#options.plane.control("unmount", { path: file });
      throw error;
    }
  }

  async #connect(file: string, reachesMachine: boolean): Promise<{ readonly end: () => Promise<void> }> {
    const { setpriv } = this.#lifeLine;
    const { root, resolves } = this.#options;
    const args = this.#program.args(file, this.#addresses, { reachesMachine, resolves, root });
    const { child, words } = await this.#spawn([setpriv, "--pdeathsig", "KILL", "--", this.#file, ...args]);
    const end = async () => {
      child.kill("SIGKILL");
      await child.exit;
    };
    try {
      const limit = AbortSignal.timeout(READY_LIMIT_MS);
      const waiting = await this.#spawn([
        this.#nsenter,
        `--net=${file}`,
        "/bin/sh",
        "-c",
        WAIT,
        "sh",
        String(child.pid),
      ]);
      limit.addEventListener("abort", () => child.kill("SIGKILL"));
      const { code } = await waiting.child.exit;
      if (code !== 0)
        throw new EngineError("unavailable", `${this.name} could not connect a step: ${words() || waiting.words()}`);
      return { end };
    } catch (error) {
      await end();
      throw error;
    }
  }

  async #succeed(argv: readonly string[], what: string): Promise<void> {
    const { child, words } = await this.#spawn(argv);
    const { code }: ProcessExit = await child.exit;
    if (code !== 0) throw new EngineError("unavailable", `${what}: ${words()}`);
  }

  async #spawn(argv: readonly string[]): Promise<{ readonly child: Spawned; readonly words: () => string }> {
    let said = "";
    const child = await this.#options.plane.spawn({ argv, env: ENV, cwd: "/", stdio: "pipe" }, (_, chunk) => {
      said = (said + Buffer.from(chunk).toString("utf8")).slice(0, COMPLAINT_MAX_CHARS);
    });
    return { child, words: () => complaintOf(said) };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** What both programs say even where all is well. */
const NOISE = /^(Failed to send \d+ bytes to syslog|WARNING: Support for seccomp is experimental|)$/;

function complaintOf(said: string): string {
  const lines = said.split("\n").map((line) => line.trim());
  return lines.filter((line) => !NOISE.test(line)).join(", ");
}
