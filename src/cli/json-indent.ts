/** The JSON TEXT with a line for each member, INDENT deep, its strings and numbers as they are: what Go's json.Indent makes of it. */
export function indentJson(text: string, indent: string): string {
  let depth = 0;
  let shown = "";
  for (const [token] of text.matchAll(TOKENS)) {
    switch (token[0]) {
      case "{":
      case "[":
        shown += token.length > 1 ? token.replace(/\s+/g, "") : token + line(++depth, indent);
        break;
      case "}":
      case "]":
        shown += line(--depth, indent) + token;
        break;
      case ",":
        shown += token + line(depth, indent);
        break;
      case ":":
        shown += ": ";
        break;
      default:
        shown += token;
    }
  }
  return shown;
}

/** Empty objects and lists stay on their line. */
const TOKENS = /"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|[^\s{}[\],:"]+/g;

function line(depth: number, indent: string): string {
  return `\n${indent.repeat(Math.max(depth, 0))}`;
}
