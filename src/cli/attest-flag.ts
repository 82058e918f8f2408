import type { AttestationSpec } from "../engine/index.js";
import { UsageError } from "./usage-error.js";
import { parseBoolean, parseCsv } from "./values.js";

/** What --attest, --provenance and --sbom ask for together; a later word of one type takes the place of an earlier one. */
export function parseAttestations(flags: {
  readonly attest?: readonly string[];
  readonly provenance?: string;
  readonly sbom?: string;
}): readonly AttestationSpec[] {
  const wanted = new Map<string, AttestationSpec | undefined>();
  for (const text of flags.attest ?? []) {
    const { type, attrs, enabled } = parseAttest(text);
    if (wanted.has(type)) throw new UsageError(`duplicate attestation field ${type}`);
    wanted.set(type, enabled ? { type, attrs } : undefined);
  }
  for (const type of ["provenance", "sbom"] as const) {
    const text = flags[type];
    if (text === undefined) continue;
    const { attrs, enabled } = parseAttest(shorthand(type, text));
    wanted.set(type, enabled ? { type, attrs } : undefined);
  }
  return [...wanted.values()].filter((each) => each !== undefined);
}

/** `true`, `false`, a mode or attributes, as buildx reads them. */
function shorthand(type: "provenance" | "sbom", text: string): string {
  if (/^(?:1|t|T|TRUE|true|True|)$/.test(text)) return `type=${type}`;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return `type=${type},disabled=true`;
  if (!text.includes("=") && type === "provenance") return `type=${type},mode=${text}`;
  return `type=${type},${text}`;
}

interface Attest {
  readonly type: AttestationSpec["type"];
  readonly attrs: Readonly<Record<string, string>>;
  readonly enabled: boolean;
}

/** `type=provenance,mode=max`, and `disabled=true`, which switches one off. */
function parseAttest(text: string): Attest {
  const fields = new Map(
    parseCsv(text).map((field) => {
      const equals = field.indexOf("=");
      return equals < 0
        ? ([field.trim(), ""] as const)
        : ([field.slice(0, equals).trim(), field.slice(equals + 1)] as const);
    }),
  );
  const type = fields.get("type");
  if (type === undefined) throw new UsageError("attestation type not specified");
  if (type !== "provenance" && type !== "sbom")
    throw new UsageError(`unknown attestation type ${JSON.stringify(type)}`);
  const disabled = fields.get("disabled");
  const enabled = disabled === undefined || (disabled !== "" && !parseBoolean(disabled, "disabled"));
  const attrs = Object.fromEntries([...fields].filter(([key]) => key !== "type" && key !== "disabled"));
  return { type, attrs, enabled };
}
