/** What a registry asks for with `WWW-Authenticate` (RFC 9110, 11.6.1). */
export type Challenge =
  | { readonly scheme: "basic" }
  | {
      readonly scheme: "bearer";
      readonly realm: string;
      readonly service: string | undefined;
      readonly scope: string | undefined;
      readonly error: string | undefined;
    };

/** Characters of a header that is looked at. */
const HEADER_LENGTH_MAX = 8192;

/** The challenges we can answer, in the header's order. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: Challenge[] = [];
  for (const { scheme, parameters } of split(header.slice(0, HEADER_LENGTH_MAX))) {
    if (scheme === "basic") challenges.push({ scheme });
    const realm = parameters.get("realm");
    if (scheme !== "bearer" || realm === undefined) continue;
    const [service, scope, error] = ["service", "scope", "error"].map((name) => parameters.get(name));
    challenges.push({ scheme, realm, service, scope, error });
  }
  return challenges;
}

interface RawChallenge {
  readonly scheme: string;
  readonly parameters: Map<string, string>;
}

/** A word before an `=` is a parameter of the scheme before it, another word begins a new scheme. */
function split(header: string): readonly RawChallenge[] {
  const challenges: RawChallenge[] = [];
  const tokens = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?[\s,]*/gy;
  for (const [, word = "", quoted, plain] of header.trimStart().matchAll(tokens)) {
    const value = quoted?.replace(/\\(.)/g, "$1") ?? plain;
    if (value === undefined) challenges.push({ scheme: word.toLowerCase(), parameters: new Map() });
    else challenges.at(-1)?.parameters.set(word.toLowerCase(), value);
  }
  return challenges;
}
