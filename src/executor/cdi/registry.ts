import fs from "node:fs";
import path from "node:path";
import { messageOf, readRegularFile, systemCode } from "../../base/index.js";
import { type CdiDevice, parseCdi } from "./spec.js";

/** The devices that the files of this machine describe. */
export interface CdiRegistry {
  /**
   * The devices that NAME stands for, in the order of their names: `VENDOR/CLASS=NAME`; of a kind (`VENDOR/CLASS`) the first, with `=*`
   * all; else those of the class that their annotations say. Empty if there are none.
   */
  find(name: string): readonly CdiDevice[];
  /** Why a device may be missing: files that could not be read, each in a sentence. */
  readonly complaints: readonly string[];
}

/** Where BuildKit looks, too; files of later directories win. */
export const CDI_DIRECTORIES: readonly string[] = ["/etc/cdi", "/var/run/cdi"];

const CLASS_ANNOTATION = "org.mobyproject.buildkit.device.class";
const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** Reads every file of DIRECTORIES. A file that is wrong is left out and complained of. */
export async function readCdi(directories: readonly string[]): Promise<CdiRegistry> {
  const devices = new Map<string, CdiDevice>();
  const complaints: string[] = [];
  for (const directory of directories) {
    const found = new Map<string, CdiDevice | undefined>();
    for (const file of filesIn(directory)) {
      try {
        for (const device of await readFile(file)) {
          // Two files of equal rank that disagree about a device: neither is believed.
          if (found.has(device.name)) complaints.push(`${device.name} is described more than once in ${directory}`);
          found.set(device.name, found.has(device.name) ? undefined : device);
        }
      } catch (error) {
        complaints.push(messageOf(error));
      }
    }
    for (const [name, device] of found) {
      if (device) devices.set(name, device);
      else devices.delete(name);
    }
  }
  const all = [...devices.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { find: (name) => find(name, all), complaints };
}

async function readFile(file: string): Promise<readonly CdiDevice[]> {
  return parseCdi((await readRegularFile(file, FILE_BYTES_MAX)).toString(), file);
}

function filesIn(directory: string): string[] {
  try {
    const names = fs.readdirSync(directory).filter((name) => /\.(json|yaml)$/.test(name));
    return names.sort().map((name) => path.join(directory, name));
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(systemCode(error) ?? "")) return [];
    throw error;
  }
}

function find(name: string, all: readonly CdiDevice[]): readonly CdiDevice[] {
  const equals = name.indexOf("=");
  const kind = equals < 0 ? name : name.slice(0, equals);
  const ofKind = all.filter((device) => device.kind === kind);
  const which = equals < 0 ? "" : name.slice(equals + 1);
  const named =
    which === "" ? ofKind.slice(0, 1) : which === "*" ? ofKind : all.filter((device) => device.name === name);
  return named.length > 0 ? named : all.filter(({ annotations }) => annotations[CLASS_ANNOTATION] === name);
}
