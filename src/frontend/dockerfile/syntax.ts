import { EngineError } from "../../base/index.js";
import { parseReference } from "../../oci/index.js";
import { DiagnosticError } from "../diagnostic-error.js";
import type { FrontendRequest } from "../frontend.js";
import type { Directives } from "./ast.js";
import { mistake } from "./place.js";

const SYNTAX_ARG = "BUILDKIT_SYNTAX";

/** Images of BuildKit's own Dockerfile frontend: they mean what is built in here, and are never pulled. */
const BUILT_IN_SYNTAX = /(^|\/)docker\/dockerfile(-upstream)?$/;

/** Another language than this one is refused by name: building something else in its place would be worse. */
export function refuseOtherSyntax({ dockerfile: { name }, buildArgs }: FrontendRequest, { syntax }: Directives): void {
  const given = buildArgs.get(SYNTAX_ARG);
  const wanted = (given ?? syntax?.text ?? "").trim().split(/\s+/)[0] ?? "";
  if (wanted === "" || wanted === "dockerfile.v0" || isBuiltIn(wanted)) return;
  const source = given === undefined ? "" : ` of the build argument ${SYNTAX_ARG}`;
  const message = `the syntax ${JSON.stringify(wanted)}${source} is not supported, only Dockerfiles are`;
  const hint = "Leave it out, or name docker/dockerfile:1.";
  if (given !== undefined || syntax === undefined) throw new EngineError("unsupported", message, { hint });
  const [diagnostic] = mistake(message, { file: name, range: syntax.range }).diagnostics;
  throw new DiagnosticError([diagnostic ?? { severity: "error", message }], { code: "unsupported", hint });
}

function isBuiltIn(image: string): boolean {
  try {
    return BUILT_IN_SYNTAX.test(parseReference(image).repository);
  } catch {
    return false;
  }
}
