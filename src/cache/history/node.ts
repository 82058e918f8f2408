import type { Digest } from "../../base/index.js";
import type { CacheKey } from "../../solver/index.js";
import type { Told } from "./shown.js";

/** What a step, or a source, was made of: a part of the history, under the digest of its JSON. */
export interface StepNode {
  /** The line shown to people. */
  readonly name: string;
  /** The instruction as it is written in the Dockerfile; absent of what is none. */
  readonly text?: Told;
  /** The key that consumers counted it by, where it was asked for. */
  readonly key?: CacheKey;
  /** What its op is made of, but for the environment. */
  readonly op: unknown;
  /** The part that lists its variables: the environment of a process, else those that the instruction names. */
  readonly variables?: Digest;
  /** What WORKDIR and USER are made of, where they were written with variables. */
  readonly settings?: Settings<NotedDerivation>;
  /** Those by which stages were chosen that it reads. */
  readonly choosers?: readonly NotedVariable[];
  /** What a copy takes, by the paths or names that this has there: those of the op may be the last names only. */
  readonly taken?: readonly string[];
  readonly source?: SourceNote;
  readonly inputs: readonly NodeInput[];
}

export type Settings<T> = { readonly [setting in "WORKDIR" | "USER"]?: T };

export interface NodeInput {
  /** What the step has it for; `base` is what it changes. */
  readonly role: string;
  readonly node: Digest;
  readonly index: number;
  readonly byContent: boolean;
  /** The digest of the selected content, and the directories it is, as far as they are known. */
  readonly content?: Digest;
  /** What the entries of that are known by, with where they lie. */
  readonly listing?: Digest;
}

/** The role of what a step is built on. */
export const BASE_ROLE = "base";

/** A variable that a step saw, in order. */
export interface NotedVariable extends Told {
  readonly name: string;
  readonly variable: "ARG" | "ENV";
  readonly isHidden?: boolean;
  /** It is of the image that the stage begins with. */
  readonly isInherited?: boolean;
  readonly derivation?: NotedDerivation;
}

/** What a value is made of that was written with variables in it. */
export interface NotedDerivation {
  /** Of the text that was written. */
  readonly mark: string;
  /** What that names. */
  readonly names: readonly string[];
  /** What it is made of in the end. */
  readonly roots: readonly NotedVariable[];
}

/** Where files come from. */
export type SourceNote =
  | { readonly kind: "image"; readonly reference: string; readonly digest: string }
  /** A directory of the caller's: the main context where it has no name. */
  | { readonly kind: "context"; readonly name?: string; readonly place: string; readonly excludes: readonly string[] }
  /** `checksum`: what must be there, where the Dockerfile says so. */
  | { readonly kind: "address"; readonly address: string; readonly checksum?: string };

/** A vertex of a build, to be noted. Whoever tells of it tells of its inputs before. */
export interface StepDraft {
  /** What tells it from others in its build. */
  readonly id: Digest;
  readonly name: string;
  readonly text?: string | undefined;
  readonly key: CacheKey | undefined;
  readonly op: unknown;
  readonly variables: readonly DraftVariable[];
  readonly settings?: Settings<DraftDerivation> | undefined;
  readonly choosers?: readonly DraftVariable[] | undefined;
  readonly taken?: readonly string[] | undefined;
  /** Values of other variables that may not be told nor kept. */
  readonly secrets?: Iterable<string> | undefined;
  readonly source?: SourceNote | undefined;
  readonly inputs: readonly DraftInput[];
  /** Whether it is a step of the Dockerfile, and not something that the engine does for one. */
  readonly isStep: boolean;
  /** It ran whatever was in the cache: because of an option for this stage, or for all of them. */
  readonly forced: { readonly stage?: string } | undefined;
  readonly ran: boolean;
}

export interface DraftVariable {
  readonly name: string;
  readonly value: string;
  readonly variable: "ARG" | "ENV";
  readonly isInherited?: boolean;
  readonly derivation?: DraftDerivation | undefined;
}

export interface DraftDerivation {
  /** As it is written. */
  readonly text: string;
  /** What that names. */
  readonly names: readonly string[];
  /** The variables that it is made of in the end; those that were set. */
  readonly roots: readonly DraftVariable[];
}

export interface DraftInput extends Omit<NodeInput, "node" | "content" | "listing"> {
  readonly id: Digest;
  readonly content: Digest | undefined;
  readonly listing: Digest | undefined;
}
