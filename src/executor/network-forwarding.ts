import fs from "node:fs";
import path from "node:path";
import { EngineError, Scope, systemCode, tryLock } from "../base/index.js";
import type { Spawner } from "../snapshot/index.js";
import type { NetlinkSocket } from "./netlink-socket.js";
import { acceptForwarded, findClosingIptables, removeAccepting } from "./network-iptables.js";
import { type Chain, guardRules, listChains, parseClosedChain, removeTable } from "./network-rules.js";

/** Where engines agree on what they have changed in this machine's network. */
export interface ForwardingPlace {
  /** A directory that a restart empties: /run/ashlar. */
  readonly directory: string;
  readonly spawner: Spawner;
  /** Where to find programs, as PATH has it. */
  readonly searchPath: string;
}

export interface ForwardingOptions {
  readonly place: ForwardingPlace;
  /** Speaks about rules with the machine's network namespace, whose number is COOKIE. */
  readonly filter: NetlinkSocket;
  readonly cookie: string;
  /** The machine's devices that are up. */
  readonly devices: readonly string[];
}

export interface Forwarding extends AsyncDisposable {
  /** Has what comes in by a device of a step's forwarded. Throws EngineError `unavailable` where that can't be set. */
  allow(device: string): void;
}

/** What engines have changed that does not end with them. */
interface Changes {
  readonly cookie: string;
  /** Devices that have been told to forward. */
  readonly devices: readonly string[];
  /** The iptables program by which forwarding for steps was allowed. */
  readonly iptables?: string | undefined;
}

const GUARD = "ashlar-guard";
const LOCK_LIMIT_MS = 10_000;
const LOCK_PAUSE_MS = 5;
const NETWORK = "/proc/self/ns/net";
const RECORD = "changes.json";
const RECORD_MAX_BYTES = 64 * 1024;

/**
 * Sees to it that the machine forwards what steps send. Mostly it does already, or nothing stands in the way. Else it is told to, which
 * outlives the engine: so it is written down first, shared by all engines of the machine, and taken back by the last of them; or, where that
 * one was killed, by `sweepForwarding`. Throws EngineError `unavailable` where it can't be done.
 */
export async function openForwarding(options: ForwardingOptions): Promise<Forwarding> {
  const { place, filter } = options;
  const needed = await neededChanges(options);
  const directory = directoryOf(place);
  // Whoever changes something writes it down first: so what was found as it should be is nobody's change if there is nothing yet.
  if (needed.devices.length === 0 && needed.iptables === undefined && !fs.existsSync(path.join(directory, RECORD)))
    return forwarding(async () => {});
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  await using scope = new Scope();
  using _ = await lock(path.join(directory, "gate"), "exclusive");
  const use = await lock(path.join(directory, "users"), "shared");
  scope.defer(() => leave(directory, use, options));
  const former = readChanges(directory, options.cookie);
  const changes: Changes = {
    cookie: options.cookie,
    devices: [...new Set([...former.devices, ...needed.devices])],
    iptables: former.iptables ?? needed.iptables,
  };
  writeChanges(directory, changes);
  if (changes.devices.length > 0) await filter.ask("guarding what is forwarded", guardRules(GUARD, changes.devices));
  for (const device of changes.devices) setForwarding(device, "1");
  if (changes.iptables !== undefined) await acceptForwarded(place.spawner, changes.iptables);
  const moved = scope.move();
  return forwarding(() => moved[Symbol.asyncDispose]());
}

function forwarding(end: () => Promise<void>): Forwarding {
  const isOn = readForwarding("default") === "1";
  return {
    allow(device) {
      if (!isOn) setForwarding(device, "1");
    },
    [Symbol.asyncDispose]: end,
  };
}

/** Takes back what engines changed that were killed. Cheap where there is nothing; OPEN_FILTER is asked only where there is. */
export async function sweepForwarding(place: ForwardingPlace, openFilter: () => Promise<NetlinkSocket>): Promise<void> {
  const directory = directoryOf(place);
  if (!fs.existsSync(path.join(directory, RECORD))) return;
  await using filter = await openFilter();
  using _ = await lock(path.join(directory, "gate"), "exclusive");
  using users = openLock(path.join(directory, "users"));
  if (users.take("exclusive")) await undo(directory, { place, filter, cookie: filter.opened.cookie });
}

async function leave(
  directory: string,
  use: Disposable,
  options: Pick<ForwardingOptions, "place" | "filter" | "cookie">,
): Promise<void> {
  using _ = await lock(path.join(directory, "gate"), "exclusive");
  use[Symbol.dispose]();
  using users = openLock(path.join(directory, "users"));
  if (users.take("exclusive")) await undo(directory, options);
}

/** The record goes last: what is not undone yet is still in it. */
async function undo(
  directory: string,
  { place, filter, cookie }: Pick<ForwardingOptions, "place" | "filter" | "cookie">,
): Promise<void> {
  const { devices, iptables } = readChanges(directory, cookie);
  if (iptables !== undefined) await removeAccepting(place.spawner, iptables);
  for (const device of devices) setForwarding(device, "0");
  if (devices.length > 0) await filter.send(removeTable(GUARD));
  fs.rmSync(path.join(directory, RECORD), { force: true });
}

async function neededChanges({ place, filter, devices }: ForwardingOptions): Promise<Omit<Changes, "cookie">> {
  const chains = await filter.ask("reading the rules of the firewall", [listChains()]);
  const closed = chains.flatMap((each) => parseClosedChain(each) ?? []);
  const strange = closed.find((chain) => !isIptables(chain));
  if (strange) {
    const words = `the firewall forwards nothing (chain ${strange.name} of table ${strange.table})`;
    throw new EngineError("unavailable", words);
  }
  const iptables = await findClosingIptables(place, closed.length > 0);
  return { devices: devices.filter((device) => readForwarding(device) === "0"), iptables };
}

/** The chain by which iptables, and Docker with it, decides what is forwarded. */
function isIptables({ table, name }: Chain): boolean {
  return table === "filter" && name === "FORWARD";
}

function directoryOf({ directory }: ForwardingPlace): string {
  return path.join(directory, `network-${fs.readlinkSync(NETWORK).replace(/\D/g, "")}`);
}

function settingOf(device: string): string {
  // The file's name is the device's, but for slashes (Documentation/networking/ip-sysctl).
  return path.join("/proc/sys/net/ipv4/conf", device.replaceAll("/", "."), "forwarding");
}

function readForwarding(device: string): string | undefined {
  try {
    return fs.readFileSync(settingOf(device), "utf8").trim();
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function setForwarding(device: string, value: "0" | "1"): void {
  try {
    fs.writeFileSync(settingOf(device), value);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT") return; // the device is gone
    throw new EngineError("unavailable", `${device} can't be told to forward: ${code}`, { cause: error });
  }
}

function readChanges(directory: string, cookie: string): Changes {
  const nothing = { cookie, devices: [] };
  try {
    const text = fs.readFileSync(path.join(directory, RECORD), "utf8").slice(0, RECORD_MAX_BYTES);
    const changes = JSON.parse(text) as Changes;
    // Numbers of namespaces come again: what another one was told went away with it.
    return changes.cookie === cookie ? changes : nothing;
  } catch (error) {
    if (systemCode(error) === "ENOENT" || error instanceof SyntaxError) return nothing;
    throw error;
  }
}

function writeChanges(directory: string, changes: Changes): void {
  const file = path.join(directory, RECORD);
  fs.writeFileSync(`${file}.new`, JSON.stringify(changes), { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

interface FileLock extends Disposable {
  take(kind: "shared" | "exclusive"): boolean;
}

function openLock(file: string): FileLock {
  const fd = fs.openSync(file, "a", 0o600);
  let open = true;
  return {
    take: (kind) => tryLock(fd, kind),
    [Symbol.dispose]() {
      if (open) fs.closeSync(fd);
      open = false;
    },
  };
}

async function lock(file: string, kind: "shared" | "exclusive"): Promise<FileLock> {
  const opened = openLock(file);
  for (let waitedMs = 0; waitedMs < LOCK_LIMIT_MS; waitedMs += LOCK_PAUSE_MS) {
    if (opened.take(kind)) return opened;
    await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE_MS));
  }
  opened[Symbol.dispose]();
  throw new EngineError("unavailable", `${file} stays locked`);
}
