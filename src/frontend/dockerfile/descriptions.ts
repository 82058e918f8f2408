/** What COMMENTS, the lines right above a definition, say of NAME: `# NAME text` describes it. */
export function descriptionOf(comments: readonly string[], name: string): string | undefined {
  if (name === "") return undefined;
  return comments.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1);
}
