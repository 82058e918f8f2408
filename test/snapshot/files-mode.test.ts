import { describe, expect, it } from "vitest";
import { parseMode } from "../../src/snapshot/worker/file-mode.js";

const FILE = false;
const DIRECTORY = true;

describe("a mode", () => {
  it.each<readonly [string, number, boolean, number]>([
    ["644", 0o4755, FILE, 0o644],
    ["07777", 0o644, DIRECTORY, 0o7777],
    ["u=rwX,go=rX", 0o600, FILE, 0o644],
    ["u=rwX,go=rX", 0o700, FILE, 0o755],
    ["u=rwX,go=rX", 0o600, DIRECTORY, 0o755],
    ["+x", 0o644, FILE, 0o755],
    ["-w", 0o4750, FILE, 0o4550],
    ["=r", 0o4750, FILE, 0o444],
    ["u+s,g+s", 0o4750, FILE, 0o6750],
    ["u-s", 0o4750, FILE, 0o750],
    ["+s", 0o755, FILE, 0o6755],
    ["o+s", 0o755, FILE, 0o755],
    ["+t", 0o755, FILE, 0o1755],
    ["u+t", 0o755, FILE, 0o1755],
    ["o+t", 0o755, FILE, 0o755],
    ["o=g", 0o4750, FILE, 0o4755],
    ["go=u", 0o740, FILE, 0o777],
    ["g-u", 0o770, FILE, 0o700],
    ["u+g", 0o070, FILE, 0o770],
    ["u=", 0o4777, FILE, 0o077],
    ["a=rx,u+w", 0o000, FILE, 0o755],
    ["u+rw-x", 0o100, FILE, 0o600],
    ["-X", 0o755, FILE, 0o644],
    ["go-rwx", 0o777, FILE, 0o700],
  ])("%s makes of %o (directory: %s) %o", (text, mode, isDirectory, result) => {
    expect(parseMode(text)(mode, isDirectory).toString(8)).toBe(result.toString(8));
  });

  it.each(["", "u", "u=rwq", "888", "17777", "u+x,", ",u+x", "z+x", "u x"])("%j is no mode", (text) => {
    expect(() => parseMode(text)).toThrow("invalid syntax");
  });
});
