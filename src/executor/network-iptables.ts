import fs from "node:fs";
import { EngineError, systemCode } from "../base/index.js";
import type { Spawner } from "../snapshot/index.js";
import { DEVICE_PREFIX } from "./network-rules.js";
import { findProgram } from "./programs.js";

/** Where iptables, and Docker with it, drops what is forwarded, our own tables can't accept it: it takes rules of ours among its own. */
const RULES: readonly (readonly string[])[] = [
  ["-i", `${DEVICE_PREFIX}+`],
  ["-o", `${DEVICE_PREFIX}+`, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"],
].map((match) => [...match, "-m", "comment", "--comment", "ashlar: RUN steps", "-j", "ACCEPT"]);
const LOCK_WAIT_SECONDS = "10";
const LEGACY_TABLES = "/proc/net/ip_tables_names";
const WORDS_MAX_CHARS = 64 * 1024;

export interface IptablesSearch {
  readonly spawner: Spawner;
  readonly searchPath: string;
}

/**
 * The iptables program whose FORWARD chain drops what nothing accepts: the newer kind where that is CLOSED, else the older one if its chain is.
 * Undefined where neither is. Throws EngineError `unavailable` where the program is missing.
 */
export async function findClosingIptables(search: IptablesSearch, closed: boolean): Promise<string | undefined> {
  if (closed) return requireIptables(search, ["iptables-nft", "iptables"]);
  if (!legacyTables().includes("filter")) return undefined;
  const file = requireIptables(search, ["iptables-legacy", "iptables"]);
  const { words } = await run(search.spawner, file, ["-S", "FORWARD"]);
  return words.startsWith("-P FORWARD DROP") ? file : undefined;
}

/** Lets FILE, an iptables program, accept what steps send and the answers to it. What it has already stays as it is. */
export async function acceptForwarded(spawner: Spawner, file: string): Promise<void> {
  for (const rule of RULES) {
    if ((await run(spawner, file, ["-C", "FORWARD", ...rule])).code === 0) continue;
    const { code, words } = await run(spawner, file, ["-I", "FORWARD", ...rule]);
    if (code !== 0) throw new EngineError("unavailable", `${file} takes no rule: ${words.trim()}`);
  }
}

/** Takes the rules of `acceptForwarded` out again; nothing else. */
export async function removeAccepting(spawner: Spawner, file: string): Promise<void> {
  for (const rule of RULES) {
    while ((await run(spawner, file, ["-C", "FORWARD", ...rule])).code === 0) {
      const { code, words } = await run(spawner, file, ["-D", "FORWARD", ...rule]);
      if (code !== 0) throw new EngineError("unavailable", `${file} keeps a rule: ${words.trim()}`);
    }
  }
}

function requireIptables({ searchPath }: IptablesSearch, names: readonly string[]): string {
  for (const name of names) {
    const file = findProgram(name, searchPath);
    if (file !== undefined) return file;
  }
  throw new EngineError("unavailable", "the firewall forwards nothing, and there is no iptables program to tell it to");
}

function legacyTables(): readonly string[] {
  try {
    return fs.readFileSync(LEGACY_TABLES, "utf8").split("\n");
  } catch (error) {
    if (["ENOENT", "EACCES"].includes(systemCode(error) ?? "")) return [];
    throw error;
  }
}

async function run(
  spawner: Spawner,
  file: string,
  words: readonly string[],
): Promise<{ readonly code: number | null; readonly words: string }> {
  let said = "";
  const child = await spawner.spawn(
    { argv: [file, "-w", LOCK_WAIT_SECONDS, ...words], env: {}, cwd: "/", stdio: "pipe" },
    (_, chunk) => {
      said = (said + Buffer.from(chunk).toString("utf8")).slice(0, WORDS_MAX_CHARS);
    },
  );
  const { code } = await child.exit;
  return { code, words: said };
}
