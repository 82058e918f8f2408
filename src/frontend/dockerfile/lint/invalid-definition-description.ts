import type { Instruction, Range } from "../ast.js";
import { leadingSpace } from "../blanks.js";
import { finding, type Rule, ruleUrl } from "./rule.js";

/** A comment right above ARG or a named FROM that does not begin with the name it should describe. */
export const invalidDefinitionDescription: Rule = {
  name: "InvalidDefinitionDescription",
  description:
    "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
  url: ruleUrl("invalid-definition-description"),
  isExperimental: true,
  phase: "parse",
  *check({ instructions, lines }) {
    for (const instruction of instructions) {
      const names = definedBy(instruction);
      const comment = instruction.comments.at(-1);
      const [first, ...more] = names;
      if (first === undefined || comment === undefined || names.includes(comment.split(" ", 1)[0] ?? "")) continue;
      const format = `\`# ${more.length > 0 ? "<arg_key>" : first} <description>\``;
      yield finding(instruction, `Comment for ${instruction.kind.toUpperCase()} should follow the format: ${format}`, {
        culprit: commentAbove(lines(), instruction.range.start.line),
      });
    }
  },
};

/** The last comment above LINE. */
function commentAbove(lines: readonly string[], line: number): Range | undefined {
  for (let number = line - 1; number > 0; number--) {
    const text = lines[number - 1] ?? "";
    const character = leadingSpace(text);
    if (text[character] !== "#") continue;
    return { start: { line: number, character }, end: { line: number, character: text.trimEnd().length } };
  }
  return undefined;
}

function definedBy(instruction: Instruction): readonly string[] {
  if (instruction.kind === "arg") return instruction.args.map((declaration) => declaration.key);
  return instruction.kind === "from" && instruction.name ? [instruction.name.text.toLowerCase()] : [];
}
