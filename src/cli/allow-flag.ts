import { UsageError } from "./usage-error.js";
import { parseChoice, parseCsv } from "./values.js";

const ENTITLEMENTS = ["network.host", "security.insecure"] as const;

/** The entitlements of one --allow: those by name, several with commas between them, or `device[=NAME[,alias=ALIAS]]`. */
export function parseAllow(text: string): readonly string[] {
  if (/^device(=|$)/.test(text)) return [checkedDevice(text)];
  return parseCsv(text).map((name) => parseChoice(name, "--allow", [...ENTITLEMENTS, "device"]));
}

function checkedDevice(text: string): string {
  const [, ...options] = parseCsv(text);
  const unknown = options.find((option) => !option.startsWith("alias="));
  if (unknown !== undefined)
    throw new UsageError(`invalid value ${JSON.stringify(text)} for --allow: unknown option ${unknown}`);
  return text;
}
