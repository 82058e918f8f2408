/** Whether a variable, or a parameter of an address, of that NAME may hold a secret: names as of the build check SecretsUsedInArgOrEnv. */
export function mayBeSecret(name: string): boolean {
  return SECRET_NAME.test(name) && !PUBLIC_NAME.test(name);
}

/** UTF-16 units of a value that is looked for in others: shorter ones are words that others have by themselves: `1`, `true`. */
const SECRET_MIN_LENGTH = 6;

/** Whether VALUE, of a variable NAME, may hold a secret: its name says so, or one of SECRETS, values of such variables, is part of it. */
export function mayHoldSecret(name: string, value: string, secrets: Iterable<string>): boolean {
  if (mayBeSecret(name)) return true;
  for (const secret of secrets) if (value.includes(secret)) return true;
  return false;
}

/** The values of those of VARIABLES whose names say that they may be secrets, as far as they are told from words in other values. */
export function secretValues(variables: Iterable<readonly [name: string, value: string]>): readonly string[] {
  const values: string[] = [];
  for (const [name, value] of variables) if (value.length >= SECRET_MIN_LENGTH && mayBeSecret(name)) values.push(value);
  return values;
}

const SECRET_NAME =
  /(?:^|_)(?:apikey|auth|credentials?|key|password|passwd|pword|pwd|pass|secret|token)(?:_|$)|(?:password|passwd|secret|token|apikey)$/i;
const PUBLIC_NAME = /(?:^|_)(?:public|file|version)(?:_|$)/i;
