import { EngineError, errorCode, firstError, messageOf } from "../base/index.js";
import type { BuildDiagnostic, BuildFailure, SourceText } from "../engine/index.js";
import type { FurtherMistake, SourceExcerpt, Summary } from "../progress/index.js";

/** How a thrown value is told to the user: its sentence, its place in the Dockerfile, and with DEBUG what caused it. */
export function failureOf(thrown: unknown, debug: boolean): Extract<Summary, { kind: "failed" | "canceled" }> {
  const error = firstError(thrown);
  if (errorCode(error) === "canceled") return { kind: "canceled", message: messageOf(error) };
  return {
    kind: "failed",
    message: messageOf(error),
    hint: error instanceof EngineError ? error.hint : undefined,
    source: sourceOf(error),
    ...furtherOf(error),
    causes: debug ? causesOf(error) : [],
  };
}

/** How the mistakes of a Dockerfile are told, where they are no error that was thrown. */
export function mistakesSummary(
  [first, ...others]: readonly [BuildDiagnostic, ...BuildDiagnostic[]],
  source: SourceText,
): Extract<Summary, { kind: "failed" }> {
  const { message, hint } = first;
  return { kind: "failed", message, hint, source: excerptOf(first, source), ...furtherMistakes(others, source) };
}

/** More causes than this are left out: a chain may be a circle. */
const MAX_CAUSES = 16;

function* chain(error: unknown): Generator<unknown> {
  let current = error;
  for (let i = 0; i <= MAX_CAUSES && current !== undefined && current !== null; i++) {
    yield current;
    current = (current as { cause?: unknown }).cause;
  }
}

/** An error that only adds a place to another one says the same; it is told once. */
function causesOf(error: unknown): readonly string[] {
  const links = [...chain(error)];
  return links
    .filter((link, i) => i > 0 && messageOf(link) !== messageOf(links[i - 1]))
    .map((cause) => `${messageOf(cause)} (${errorCode(cause)})`);
}

/** The other mistakes of the file that the error is about: its `diagnostics` are all of them, the first included. */
function furtherOf(error: unknown): Further {
  const source = sourceOf(error);
  const { diagnostics = [] } = (error ?? {}) as { diagnostics?: BuildFailure["diagnostics"] };
  return source ? furtherMistakes(diagnostics.slice(1), source) : { further: [] };
}

type Further = Pick<Extract<Summary, { kind: "failed" }>, "further" | "omitted">;

function furtherMistakes(mistakes: readonly BuildDiagnostic[], source: SourceText): Further {
  const omitted = mistakes.reduce((sum, mistake) => sum + (mistake.omitted ?? 0), 0);
  const further = mistakes.flatMap((mistake) => (mistake.omitted ? [] : furtherMistake(mistake, source)));
  return { further, ...(omitted === 0 ? {} : { omitted }) };
}

function furtherMistake(mistake: BuildDiagnostic, source: SourceText): readonly FurtherMistake[] {
  const excerpt = excerptOf(mistake, source);
  return excerpt ? [{ message: mistake.message, hint: mistake.hint, source: excerpt }] : [];
}

/** Undefined for what has no place in SOURCE. */
function excerptOf(mistake: BuildDiagnostic, { file, text }: SourceText): SourceExcerpt | undefined {
  const { startLine, endLine = startLine, culprit } = mistake;
  if (mistake.file !== file || startLine === undefined || endLine === undefined) return undefined;
  return { file, text, startLine, endLine, culprit };
}

/** The engine is loaded late, so its BuildFailure is known by its shape. */
function sourceOf(error: unknown): SourceExcerpt | undefined {
  for (const link of chain(error)) {
    const source = (link as { source?: Partial<SourceExcerpt> }).source;
    if (typeof source?.file === "string" && typeof source.text === "string") return source as SourceExcerpt;
  }
  return undefined;
}
