import { styleText } from "node:util";

/** TEXT in a colour or weight, or as it is. Whether colours are wanted is the caller's decision, not the stream's. */
export function paint(
  style: "red" | "yellow" | "blue" | "dim" | "bold",
  text: string,
  color: boolean | undefined,
): string {
  return color ? styleText(style, text, { validateStream: false }) : text;
}
