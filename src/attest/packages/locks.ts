import { type FoundPackage, jsonObject, objectOf, type TextReader, textOf } from "./package.js";

/** pipenv's lock file. */
export const pipfileLock: TextReader = {
  pattern: "(?:^|/)Pipfile\\.lock$",
  read({ path, text }) {
    const document = jsonObject(text);
    const entries = ["default", "develop"].flatMap((section) => Object.entries(objectOf(document[section])));
    return entries.flatMap(([name, value]) => {
      const version = /^==(.+)$/.exec(textOf(objectOf(value).version) ?? "")?.[1];
      return found("pypi", name.toLowerCase().replace(/[-_.]+/g, "-"), version, path);
    });
  },
};

/** bun's lock file: JSON with commas too many, so that its lines are read. */
export const bunLock: TextReader = {
  pattern: "(?:^|/)bun\\.lock$",
  read: ({ path, text }) =>
    [...text.matchAll(/^ {4}"[^"\n]+": \["(@?[^@"\n]+)@(\d[^"\n]*)"/gm)].flatMap(([, name = "", version]) =>
      found("npm", name, version, path),
    ),
};

/** Gradle's lock file: `group:name:version=configurations`. */
export const gradleLock: TextReader = {
  pattern: "(?:^|/)(?:gradle|buildscript-gradle)\\.lockfile$",
  read: ({ path, text }) =>
    [...text.matchAll(/^([\w.-]+):([\w.-]+):([^=:\s]+)=/gm)].map(([, group, name = "", version = ""]) => ({
      type: "maven",
      namespace: group,
      name,
      version,
      source: path,
    })),
};

/** Gems as they are installed: name and version are those of the specification's file. */
export const installedGems: TextReader = {
  pattern: "/specifications/(?:default/)?[^/]+\\.gemspec$",
  read({ path, text }) {
    const name = /\.name\s*=\s*["']([A-Za-z0-9._-]+)["']/.exec(text)?.[1];
    const version = /\.version\s*=\s*["']([^"'\s]+)["']/.exec(text)?.[1];
    return name === undefined ? [] : found("gem", name, version, path);
  },
};

/** What composer has installed. */
export const installedComposer: TextReader = {
  pattern: "(?:^|/)vendor/composer/installed\\.json$",
  read({ path, text }) {
    const document = parsed(text);
    const packages = Array.isArray(document) ? document : objectOf(document).packages;
    if (!Array.isArray(packages)) return [];
    return packages.flatMap((each) => {
      const { name, version } = objectOf(each);
      return found("composer", textOf(name) ?? "", version, path);
    });
  },
};

/** .NET's: what a program was published with, and its lock file. */
export const nugetDeps: TextReader = {
  pattern: "(?:\\.deps\\.json|(?:^|/)packages\\.lock\\.json)$",
  read({ path, text }) {
    const { libraries, dependencies } = jsonObject(text);
    const published = Object.entries(objectOf(libraries)).flatMap(([key, value]) => {
      const [name = "", version] = key.split("/");
      return objectOf(value).type === "package" ? found("nuget", name, version, path) : [];
    });
    const locked = Object.values(objectOf(dependencies)).flatMap((framework) =>
      Object.entries(objectOf(framework)).flatMap(([name, value]) =>
        found("nuget", name, objectOf(value).resolved, path),
      ),
    );
    return [...published, ...locked];
  },
};

/** NAME, whose part before a slash is its namespace. */
function found(type: string, name: string, version: unknown, source: string): readonly FoundPackage[] {
  const known = textOf(version);
  if (known === undefined || name === "") return [];
  const slash = name.lastIndexOf("/");
  const namespace = slash < 0 ? undefined : name.slice(0, slash);
  return [{ type, namespace, name: name.slice(slash + 1), version: known, source }];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const lockReaders: readonly TextReader[] = [
  pipfileLock,
  bunLock,
  gradleLock,
  installedGems,
  installedComposer,
  nugetDeps,
];
