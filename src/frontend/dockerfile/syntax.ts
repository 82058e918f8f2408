import { EngineError } from "../../base/index.js";
import { parseReference } from "../../oci/index.js";
import { DiagnosticError } from "../diagnostic-error.js";
import type { Diagnostic, FrontendRequest } from "../frontend.js";
import type { Word } from "./ast.js";
import { locate } from "./diagnostics.js";
import { detectSyntax } from "./directives.js";
import { quote } from "./quote.js";

const SYNTAX_ARG = "BUILDKIT_SYNTAX";

/** What names the frontend that is built in, whatever its image. */
const BUILT_IN_NAME = "dockerfile.v0";

/** Images of BuildKit's own Dockerfile frontend, mirrored or not: they mean what is built in here, and are never pulled. */
const BUILT_IN_IMAGE = /(^|\/)docker\/dockerfile(-upstream)?$/;

/**
 * Refuses a file whose language is another one, by the build argument that says so or else by the file itself: building
 * something else in its place would be worse. Throws `unsupported`, with the directive's place.
 */
export function refuseOtherSyntax({ dockerfile: { name, text }, buildArgs }: FrontendRequest): void {
  const given = buildArgs.get(SYNTAX_ARG)?.trim();
  if (given) {
    const wanted = firstWord(given);
    if (isBuiltIn(wanted)) return;
    const message = `the syntax ${quote(wanted)} of the build argument ${SYNTAX_ARG} is not supported, only Dockerfiles are`;
    throw new EngineError("unsupported", message, { hint: HINT });
  }
  const directive = detectSyntax(text);
  if (directive && !isBuiltIn(firstWord(directive.text))) throw unsupported(directive, name);
}

const HINT = "Leave it out, or name docker/dockerfile:1.";

function unsupported({ text, range }: Word, file: string): DiagnosticError {
  const message = `the syntax ${quote(firstWord(text))} is not supported, only Dockerfiles are`;
  const diagnostic: Diagnostic = { severity: "error", message, ...locate(file, range, range), hint: HINT };
  return new DiagnosticError([diagnostic], { code: "unsupported" });
}

/** An image; what follows it is for its frontend. */
function firstWord(text: string): string {
  return text.split(" ", 1)[0] ?? "";
}

function isBuiltIn(image: string): boolean {
  if (image === BUILT_IN_NAME) return true;
  try {
    return BUILT_IN_IMAGE.test(parseReference(image).repository);
  } catch {
    return false;
  }
}
