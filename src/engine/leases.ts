import type { BuildRequest } from "./request.js";

/** Whether a build lets go of what it has done with while it goes on, when room is needed. */
export interface Leases {
  mayEnd: boolean;
  /** Whether it has let go of anything. */
  haveEnded: boolean;
}

/**
 * The leases of a build that answers REQUEST. They all last as long as it does where somebody wants what steps along the way have made:
 * another machine, or who looks at a failure.
 */
export function leasesFor({ cacheTo = [], onFailedStep }: BuildRequest): Leases {
  return { mayEnd: cacheTo.length === 0 && onFailedStep === undefined, haveEnded: false };
}
