import type { AbortOptions } from "../../base/index.js";
import type { Database } from "../../store/index.js";
import type { BuildPlace } from "./runs.js";

/**
 * Whether a build at PLACE that was made of STATE is remembered; from now on as the last one there. Where it was the last one already, this
 * only reads.
 */
export async function recallBuild(
  database: Database,
  { context, dockerfile }: BuildPlace,
  state: string,
  options: AbortOptions = {},
): Promise<boolean> {
  const select = "SELECT id, state FROM history_build WHERE dockerfile = ? AND context = ?";
  const last = database.get<{ state: string | null }>(`${select} ORDER BY id DESC LIMIT 1`, dockerfile, context);
  if (last?.state === state) return true;
  const known = database.get<{ id: number }>(`${select} AND state = ?`, dockerfile, context, state);
  if (known === undefined) return false;
  const next = "SELECT max(id) + 1 FROM history_build";
  await database.transaction(
    () => void database.run(`UPDATE history_build SET id = (${next}) WHERE id = ?`, known.id),
    options,
  );
  return true;
}
