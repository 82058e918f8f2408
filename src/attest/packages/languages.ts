import { goSum } from "./go.js";
import { type FoundPackage, jsonObject, objectOf, paragraphs, sectionOf, type TextReader, textOf } from "./package.js";

/** Python's packages as they are installed. */
export const installedPython: TextReader = {
  pattern: "\\.(?:dist-info/METADATA|egg-info/PKG-INFO)$",
  read({ path, text }) {
    const [fields] = paragraphs(text);
    const license = fields?.get("License-Expression") ?? fields?.get("License");
    return pythonPackage(fields?.get("Name"), fields?.get("Version"), path, license);
  },
};

/** The lock files of poetry and uv. */
export const pythonLock: TextReader = {
  pattern: "(?:^|/)(?:poetry|uv)\\.lock$",
  read: ({ path, text }) => tomlPackages(text).flatMap(({ name, version }) => pythonPackage(name, version, path)),
};

/** Requirements that are pinned: others name no version. */
export const requirements: TextReader = {
  pattern: "(?:^|/)requirements[^/]*\\.txt$",
  read: ({ path, text }) =>
    [...text.matchAll(/^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;#\\]+)/gm)].flatMap(([, name, version]) =>
      pythonPackage(name, version, path),
    ),
};

/** Names of Python's packages differ in letters that mean the same (PEP 503). */
function pythonPackage(
  name: string | undefined,
  version: string | undefined,
  source: string,
  license?: string,
): readonly FoundPackage[] {
  if (!name || !version) return [];
  return [{ type: "pypi", name: name.toLowerCase().replace(/[-_.]+/g, "-"), version, license, source }];
}

/** Rust's lock file. What has no source is the project itself. */
export const cargoLock: TextReader = {
  pattern: "(?:^|/)Cargo\\.lock$",
  read: ({ path, text }) =>
    tomlPackages(text)
      .filter(({ source }) => source !== undefined)
      .map(({ name, version }) => ({ type: "cargo", name, version, source: path })),
};

/** Bundler's lock file. */
export const gemfileLock: TextReader = {
  pattern: "(?:^|/)Gemfile\\.lock$",
  read({ path, text }) {
    return [...sectionOf(text, "GEM").matchAll(/^ {4}([A-Za-z0-9._-]+) \(([^)\s]+)\)$/gm)].map(
      ([, name = "", version = ""]) => ({
        type: "gem",
        name,
        version,
        source: path,
      }),
    );
  },
};

/** Composer's lock file. */
export const composerLock: TextReader = {
  pattern: "(?:^|/)composer\\.lock$",
  read({ path, text }) {
    const { packages } = jsonObject(text);
    if (!Array.isArray(packages)) return [];
    return packages.flatMap((each): readonly FoundPackage[] => {
      const { name, version } = objectOf(each);
      const [known, at] = [textOf(name), textOf(version)];
      if (known === undefined || at === undefined) return [];
      const slash = known.indexOf("/");
      const namespace = slash < 0 ? undefined : known.slice(0, slash);
      return [{ type: "composer", namespace, name: known.slice(slash + 1), version: at, source: path }];
    });
  },
};

interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly source: string | undefined;
}

/** The `[[package]]` tables of a lock file, whose values stand on lines of their own. */
function tomlPackages(text: string): readonly LockedPackage[] {
  return text
    .split(/^\[\[package\]\]\s*$/m)
    .slice(1)
    .flatMap((table): readonly LockedPackage[] => {
      const value = (key: string) => new RegExp(`^${key} = "([^"\\n]*)"`, "m").exec(table)?.[1];
      const [name, version] = [value("name"), value("version")];
      return name && version ? [{ name, version, source: value("source") }] : [];
    });
}

export const languageReaders: readonly TextReader[] = [
  installedPython,
  pythonLock,
  requirements,
  cargoLock,
  goSum,
  gemfileLock,
  composerLock,
];
