/** Docker's code for a command line it can't read, and for a container it can't run. */
export const USAGE_CODE = 125;

/** 128 and SIGPIPE: what a program ends with whose reader has gone. */
export const BROKEN_PIPE_CODE = 141;
