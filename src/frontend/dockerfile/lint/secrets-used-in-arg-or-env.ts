import type { KeyValue, Range } from "../ast.js";
import { quote } from "../quote.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

const SECRET = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const HARMLESS = /(?:_|^)(?:public|file|version)(?:_|$)/i;

/** ARG and ENV of a name that speaks of a secret. */
export const secretsUsedInArgOrEnv: Rule = {
  name: "SecretsUsedInArgOrEnv",
  description: "Sensitive data should not be used in the ARG or ENV commands",
  url: ruleUrl("secrets-used-in-arg-or-env"),
  phase: "convert",
  *check({ stages }) {
    for (const { facts, instructions } of stages) {
      for (const instruction of instructions) {
        if (instruction.kind !== "arg" && instruction.kind !== "env") continue;
        const pairs = instruction.kind === "arg" ? instruction.args : instruction.pairs;
        const keys = facts.expanded.get(instruction) ?? pairs.map((pair) => pair.key);
        // The name of an ARG is looked at before its default is expanded, that of an ENV after.
        const order = instruction.kind === "arg" ? -1 : 0;
        for (const [index, key] of keys.entries()) {
          if (!SECRET.test(key) || HARMLESS.test(key)) continue;
          const where = `${instruction.kind.toUpperCase()} ${quote(key)}`;
          yield finding(instruction, `Do not use ARG or ENV instructions for sensitive data (${where})`, {
            order,
            culprit: keyRange(pairs[index]),
          });
        }
      }
    }
  },
};

/** Where the name stands; the whole pair where quotes or line ends stand in the way. */
function keyRange(pair: KeyValue | undefined): Range | undefined {
  if (pair === undefined) return undefined;
  const { key, value, range } = pair;
  const length = key.length + (value === undefined ? 0 : value.length + 1);
  const { line, character } = range.start;
  if (range.end.line !== line || range.end.character - character !== length) return range;
  return { start: range.start, end: { line, character: character + key.length } };
}
