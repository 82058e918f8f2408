import { EngineError, findExecutable, searchDirectories } from "../base/index.js";

/** Where system programs are even when a user's PATH does not say so. */
const SYSTEM_DIRECTORIES = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"];

/** The file of a program on SEARCH_PATH (as PATH has it) or in the system's own directories. */
export function findProgram(name: string, searchPath: string): string | undefined {
  return findExecutable(name, [...searchDirectories(searchPath), ...SYSTEM_DIRECTORIES]);
}

/** As `findProgram`; throws EngineError `unavailable` naming the Debian package to install. */
export function requireProgram(name: string, searchPath: string, debianPackage: string): string {
  const file = findProgram(name, searchPath);
  if (file !== undefined) return file;
  throw new EngineError("unavailable", `no ${name} program found`, { hint: `install ${debianPackage}` });
}
