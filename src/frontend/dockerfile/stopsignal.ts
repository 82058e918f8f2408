/** Whether NAME is a signal of Linux: a number but 0, or a name in any case, with or without SIG. */
export function isSignal(name: string): boolean {
  if (/^[+-]?\d+$/.test(name)) {
    const number = BigInt(name.replace(/^\+/, ""));
    return number !== 0n && BigInt.asIntN(64, number) === number;
  }
  return SIGNALS.has(name.toUpperCase().replace(/^SIG/, ""));
}

const NAMES =
  "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN " +
  "TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX";
const REALTIME_ABOVE_MIN = 15;
const REALTIME_BELOW_MAX = 14;

const SIGNALS = new Set([
  ...NAMES.split(" "),
  ...Array.from({ length: REALTIME_ABOVE_MIN }, (_, index) => `RTMIN+${index + 1}`),
  ...Array.from({ length: REALTIME_BELOW_MAX }, (_, index) => `RTMAX-${index + 1}`),
]);
