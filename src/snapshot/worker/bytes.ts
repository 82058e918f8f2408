/**
 * File names are bytes. In the worker a path is a "binary string": one character per byte (latin1), cheap to join, split, sort
 * (byte order) and put into maps; it becomes a Buffer at each system call and UTF-8 text only for people and patterns.
 */
export type BytePath = string;

/** The path as the system takes it. */
export function toBuffer(path: BytePath): Buffer {
  return Buffer.from(path, "latin1");
}

/** A text (UTF-16) as the bytes of its UTF-8 form. */
export function fromText(text: string): BytePath {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** The path as text; bytes that are no UTF-8 become U+FFFD. */
export function toText(path: BytePath): string {
  return Buffer.from(path, "latin1").toString("utf8");
}

/** DIRECTORY/NAME without a double slash. */
export function join(directory: BytePath, name: BytePath): BytePath {
  return directory === "" || directory.endsWith("/") ? directory + name : `${directory}/${name}`;
}
