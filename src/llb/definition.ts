import { canonicalJson, type Digest, digestOf } from "../base/index.js";
import type { Edge, Op, OpNode } from "./op.js";

/** A build as a value: every vertex the root needs, by digest. */
export interface Definition {
  readonly nodes: ReadonlyMap<Digest, OpNode>;
  /** Undefined is an empty file system (`FROM scratch` and nothing else). */
  readonly root: Edge | undefined;
  readonly metadata: ReadonlyMap<Digest, OpMetadata>;
}

/** What is known of a vertex that does not change what it is; never part of a digest or a key. */
export interface OpMetadata {
  /** The line shown to people: `[build 2/5] RUN make`. */
  readonly name: string;
  /** Of base images, processes and downloads: the instruction as it is written, empty where there is none. */
  readonly command?: string | undefined;
  /** --no-cache: do not look for a result, but keep the new one. */
  readonly ignoreCache?: boolean | undefined;
  readonly location?: SourceRange | undefined;
  readonly step?: StepPlace | undefined;
  /** The ARGs in scope. */
  readonly args?: NameList | undefined;
  /** Of what has no environment of its own: the variables (`KEY=value`) that its instruction names. */
  readonly variables?: readonly string[] | undefined;
  /** The variables (`KEY=value`) that the stage has from the image it begins with. */
  readonly inherited?: ReadonlySet<string> | undefined;
  /** Where the values of variables come from, and those of the settings `WORKDIR` and `USER`. */
  readonly derivations?: DerivationList | undefined;
  /** The ARGs (`KEY=value`) by which stages were chosen that it copies from or mounts. */
  readonly choosers?: readonly string[] | undefined;
  /** Values of variables of the build that may be secrets: never to be told nor kept, wherever they are part of something. */
  readonly secrets?: ReadonlySet<string> | undefined;
}

/** The stage's name or number, the platform, and the place of the step in it: the same step in another build. */
export interface StepPlace {
  readonly stage: string;
  readonly ordinal: number;
  /** What the stage begins with, as its FROM names it, and the variables (`KEY=value`) that this depends on. */
  readonly from?: { readonly name: string; readonly variables: readonly string[] | undefined };
}

/** Names, the newest first. Lists that go on from one another share what they have in common, however many steps each is told beside. */
export interface NameList {
  readonly name: string;
  readonly previous: NameList | undefined;
}

/** What a value is made of that was written with variables in it. */
export interface Derivation {
  /** As it is written. */
  readonly text: string;
  /** What it names, as that was then. */
  readonly variables: readonly DerivationTerm[];
}

export interface DerivationTerm {
  readonly name: string;
  /** Undefined where it was not set. */
  readonly value: string | undefined;
  readonly isArg: boolean;
  readonly derivation: Derivation | undefined;
}

/** Origins, the newest first: undefined of what has been written without variables since. Lists share what they have in common. */
export interface DerivationList {
  readonly of: DerivationSubject;
  readonly derivation: Derivation | undefined;
  readonly previous: DerivationList | undefined;
}

/** A variable by its name, or a setting. */
export type DerivationSubject = { readonly variable: string } | { readonly setting: "WORKDIR" | "USER" };

/** Lines of a source file, from 1, both included. */
export interface SourceRange {
  readonly file: string;
  readonly startLine: number;
  readonly endLine: number;
}

/** Version of the form that is hashed; goes up when a digest of an unchanged op would change. */
const DIGEST_VERSION = 1;

/** The digest of a vertex: sha256 of the canonical JSON of its op, inputs and platform; bytes stand in base64. */
export function digestOfNode(node: OpNode): Digest {
  const { op, inputs, platform } = node;
  return digestOf(canonicalJson({ v: DIGEST_VERSION, op: withTextForBytes(op), inputs, platform }));
}

function withTextForBytes(op: Op): unknown {
  if (op.kind !== "file" || !op.actions.some(({ action }) => action.kind === "mkfile")) return op;
  const actions = op.actions.map((entry) =>
    entry.action.kind === "mkfile"
      ? { ...entry, action: { ...entry.action, data: Buffer.from(entry.action.data).toString("base64") } }
      : entry,
  );
  return { kind: "file", actions };
}
