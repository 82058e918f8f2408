import type { Database } from "../../store/index.js";
import type { BuildPlace } from "./runs.js";

/** Whether a build at PLACE is remembered. */
export function isRemembered(database: Database, { context, dockerfile }: BuildPlace): boolean {
  const sql = "SELECT 1 FROM history_build WHERE dockerfile = ? AND context = ? LIMIT 1";
  return database.get(sql, dockerfile, context) !== undefined;
}
