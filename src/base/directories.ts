import fs from "node:fs";
import path from "node:path";
import { systemCode } from "./errors.js";

/**
 * Makes DIRECTORY and what is missing above it, with MODE; gives the first that it made, undefined if all was there. Throws the system's
 * errors. Node's own way never ends where the kernel says of a name in a directory that it has that there is no such thing, as in /proc.
 */
export function makeDirectories(directory: string, mode = 0o777): string | undefined {
  const missing: string[] = [];
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    const known = fs.statSync(at, { throwIfNoEntry: false });
    if (known && missing.length === 0 && !known.isDirectory()) fs.mkdirSync(at); // for its error
    if (known) break;
    missing.push(at);
    if (path.dirname(at) === at) break;
  }
  let first: string | undefined;
  for (const each of missing.reverse()) if (make(each, mode)) first ??= each;
  return first;
}

/** False for one that somebody else has made meanwhile. */
function make(directory: string, mode: number): boolean {
  try {
    fs.mkdirSync(directory, { mode });
    return true;
  } catch (error) {
    if (systemCode(error) !== "EEXIST" || leadsNowhere(directory)) throw error;
    return false;
  }
}

function leadsNowhere(file: string): boolean {
  const isLink = fs.lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return isLink && !fs.statSync(file, { throwIfNoEntry: false });
}
