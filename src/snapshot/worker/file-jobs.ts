import { contentDigest } from "./content-digest.js";
import { applyFileAction } from "./file-apply.js";
import { makeMountpoints, removeMountpoints } from "./file-mountpoints.js";
import { resolveUser } from "./file-user.js";
import { forgetScan, readSourceFile, scanSummary, statSource } from "./scan-jobs.js";

/** The jobs that change, hash and read files of trees and build contexts. */
export const fileJobs = {
  applyFileAction,
  contentDigest,
  forgetScan,
  makeMountpoints,
  readSourceFile,
  removeMountpoints,
  resolveUser,
  scanSummary,
  statSource,
};
