import type { Owner } from "../../llb/index.js";

/** The owner that `USER[:GROUP]` names: numbers and `root` are ids, other names are looked up where they are used. */
export function parseOwner(text: string): Owner {
  const at = text.indexOf(":");
  const user = idOrName(at < 0 ? text : text.slice(0, at));
  return at < 0 ? { user } : { user, group: idOrName(text.slice(at + 1)) };
}

const ID_MAX = 2 ** 31 - 1;

function idOrName(text: string): number | string {
  if (text === "root" || text === "") return 0;
  const isId = /^[+-]?\d+$/.test(text) && Math.abs(Number(text)) <= ID_MAX;
  return isId ? Number(text) >>> 0 : text;
}
