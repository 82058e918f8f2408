import type { ProgressEvent } from "./event.js";

/** BYTES in decimal units, as BuildKit and docker print them: `512B`, `1.05MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)}B`;
  let value = bytes;
  let unit = "B";
  for (const next of ["kB", "MB", "GB", "TB", "PB"]) {
    if (value < 999.995) break;
    value /= 1000;
    unit = next;
  }
  return `${value.toFixed(2)}${unit}`;
}

/** A duration in milliseconds as `1.2s`. */
export function formatDuration(ms: number): string {
  return `${(Math.max(ms, 0) / 1000).toFixed(1)}s`;
}

/** The time before a log line: seconds, with fewer digits the longer the step runs. */
export function formatStamp(ms: number): string {
  const seconds = Math.max(ms, 0) / 1000;
  return seconds.toFixed(seconds < 10 ? 3 : seconds < 100 ? 2 : 1);
}

/** What a status counts: `1.05MB / 3.00MB`, `12 / 40 files`, or nothing. */
export function formatCount(status: Extract<ProgressEvent, { type: "status" }>): string {
  const { current, total, unit } = status;
  switch (unit) {
    case "none":
      return "";
    case "bytes":
      if (total) return `${formatBytes(current)} / ${formatBytes(total)}`;
      return current ? formatBytes(current) : "";
    case "files":
      if (total) return `${current} / ${total} files`;
      return current ? `${current} files` : "";
  }
}
