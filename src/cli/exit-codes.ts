/** Docker's code for a command line it can't read, and for a container it can't run. */
export const USAGE_CODE = 125;

/** What --plan ends with unless everything is in the cache. */
export const PLAN_CODE = 3;

/** 128 and SIGPIPE: what a program ends with whose reader has gone. */
export const BROKEN_PIPE_CODE = 141;
