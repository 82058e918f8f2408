import type { StageInstruction } from "../ast.js";
import { type Rule, ruleUrl } from "./rule.js";

/** All but the last CMD, ENTRYPOINT or HEALTHCHECK of a stage. */
export const multipleInstructionsDisallowed: Rule = {
  name: "MultipleInstructionsDisallowed",
  description: "Multiple instructions of the same type should not be used in the same stage",
  url: ruleUrl("multiple-instructions-disallowed"),
  phase: "convert",
  *check({ stages }) {
    for (const { instructions } of stages) {
      const last = new Map<string, StageInstruction>();
      for (const instruction of instructions) {
        const { kind, keyword } = instruction;
        if (kind !== "cmd" && kind !== "entrypoint" && kind !== "healthcheck") continue;
        const earlier = last.get(kind);
        last.set(kind, instruction);
        if (!earlier) continue;
        const reason = "should not be used in the same stage because only the last one will be used";
        const message = `Multiple ${keyword.text} instructions ${reason}`;
        // It is told of the one that has no effect, but the later one brings it about, and may skip it.
        yield { message, range: earlier.range, culprit: earlier.keyword.range, at: instruction };
      }
    }
  },
};
