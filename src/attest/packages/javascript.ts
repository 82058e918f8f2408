import { type FoundPackage, jsonObject, objectOf, sectionOf, type TextReader, textOf } from "./package.js";

/** npm's lock file (its versions 1 to 3); the one inside node_modules too. */
export const npmLock: TextReader = {
  pattern: "(?:^|/)(?:\\.?package-lock|npm-shrinkwrap)\\.json$",
  read({ path, text }) {
    const { packages, dependencies } = jsonObject(text);
    const entries = Object.entries(objectOf(packages));
    if (entries.length === 0) return oldDependencies(dependencies, path, 0);
    return entries.flatMap(([key, value]): readonly FoundPackage[] => {
      const at = key.lastIndexOf("node_modules/");
      const { version, name, license, link } = objectOf(value);
      // The root itself and links to folders are no packages from elsewhere.
      if (at < 0 || link === true) return [];
      return npmPackage(textOf(name) ?? key.slice(at + "node_modules/".length), version, path, license);
    });
  },
};

const NESTING_MAX = 32;

function oldDependencies(dependencies: unknown, path: string, depth: number): readonly FoundPackage[] {
  if (depth > NESTING_MAX) return [];
  return Object.entries(objectOf(dependencies)).flatMap(([name, value]) => {
    const { version, dependencies: inner } = objectOf(value);
    return [...npmPackage(name, version, path), ...oldDependencies(inner, path, depth + 1)];
  });
}

/** What is installed, lock file or not. */
export const installedNpm: TextReader = {
  pattern: "(?:^|/)node_modules/(?:@[^/]+/)?[^/@.][^/]*/package\\.json$",
  read({ path, text }) {
    const { name, version, license } = jsonObject(text);
    const known = textOf(name);
    return known === undefined ? [] : npmPackage(known, version, path, license);
  },
};

/** Yarn's lock file, of the first version and of those after it. */
export const yarnLock: TextReader = {
  pattern: "(?:^|/)yarn\\.lock$",
  read({ path, text }) {
    return text.split(/\n{2,}/).flatMap((paragraph): readonly FoundPackage[] => {
      const [, name] = /^"?(@?[^@"\s]+)@[^\n]*:$/m.exec(paragraph) ?? [];
      const [, version] = /^ {2}version:? "?([^"\s]+)"?$/m.exec(paragraph) ?? [];
      return name === undefined || version === "0.0.0-use.local" ? [] : npmPackage(name, version, path);
    });
  },
};

/** pnpm's lock file: the keys of its packages. */
export const pnpmLock: TextReader = {
  pattern: "(?:^|/)pnpm-lock\\.yaml$",
  read({ path, text }) {
    return [
      ...sectionOf(text, "packages:").matchAll(
        /^ {2}['"]?\/?(@?[^@\s'"/]+(?:\/[^@\s'"/]+)?)[@/](\d[^\s'"():_]*)[^\n]*:$/gm,
      ),
    ].flatMap(([, name = "", version]) => npmPackage(name, version, path));
  },
};

function npmPackage(name: string, version: unknown, source: string, license?: unknown): readonly FoundPackage[] {
  const known = textOf(version);
  if (known === undefined || name === "") return [];
  const slash = name.startsWith("@") ? name.indexOf("/") : -1;
  return [
    {
      type: "npm",
      namespace: slash < 0 ? undefined : name.slice(0, slash),
      name: name.slice(slash + 1),
      version: known,
      license: textOf(license),
      source,
    },
  ];
}

export const javascriptReaders: readonly TextReader[] = [npmLock, installedNpm, yarnLock, pnpmLock];
