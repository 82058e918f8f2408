import fs from "node:fs";
import path from "node:path";

/** The file of a program in the first of DIRECTORIES, absolute paths, that has it. */
export function findExecutable(name: string, directories: readonly string[]): string | undefined {
  return directories.map((directory) => path.join(directory, name)).find(isExecutable);
}

/** The directories of a search path (as PATH has it). Relative ones would lead where the caller happens to stand. */
export function searchDirectories(searchPath: string): readonly string[] {
  return searchPath.split(path.delimiter).filter((directory) => path.isAbsolute(directory));
}

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}
