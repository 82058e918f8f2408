/** The command cannot be started; the message says why, as a runtime would. */
export class StartFailure extends Error {}
