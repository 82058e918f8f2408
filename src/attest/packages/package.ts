/** A package that is installed, or that a lock file names. */
export interface FoundPackage {
  /** `deb`, `apk`, `npm`: a type of package URL. */
  readonly type: string;
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly version: string;
  readonly qualifiers?: Readonly<Record<string, string | undefined>> | undefined;
  /** As it is declared; not checked. */
  readonly license?: string | undefined;
  /** The file that tells of it. */
  readonly source: string;
}

/** A file of the image, as text. */
export interface ScannedFile {
  /** Without a slash at the start. */
  readonly path: string;
  readonly text: string;
}

/** What distribution the image is, by os-release(5). */
export interface Distribution {
  readonly id: string;
  readonly versionId: string;
  readonly name: string;
}

/** Reads one kind of file. What it can't make sense of it leaves out: the image is a stranger's. */
export interface TextReader {
  /** Matches the paths of the files it reads; as text, since another thread looks for them. */
  readonly pattern: string;
  read(file: ScannedFile, distribution: Distribution | undefined): readonly FoundPackage[];
}

/** The same of files that are no text. */
export interface BinaryReader {
  readonly pattern: string;
  readBytes(
    file: { readonly path: string; readonly content: Buffer },
    distribution: Distribution | undefined,
  ): readonly FoundPackage[];
}

export type PackageReader = TextReader | BinaryReader;

/** The paragraphs of a text of `Key: value` lines, as dpkg and Python write them; lines that go on are left out. */
export function paragraphs(text: string): readonly ReadonlyMap<string, string>[] {
  return text
    .replaceAll("\r\n", "\n")
    .split(/\n{2,}/)
    .map(fieldsOf)
    .filter((fields) => fields.size > 0);
}

function fieldsOf(paragraph: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of paragraph.split("\n")) {
    const [, key, value] = /^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)$/.exec(line) ?? [];
    if (key !== undefined && !fields.has(key)) fields.set(key, value?.trim() ?? "");
  }
  return fields;
}

/** What is indented below the line TITLE. */
export function sectionOf(text: string, title: string): string {
  const found = `\n${text}`.indexOf(`\n${title}\n`);
  if (found < 0) return "";
  const rest = text.slice(found + title.length + 1);
  const end = rest.search(/^\S/m);
  return end < 0 ? rest : rest.slice(0, end);
}

/** The members of TEXT as a JSON object; none where it is something else. */
export function jsonObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return {};
  }
}

/** VALUE, if it is an object. */
export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** VALUE, if it is a text. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
