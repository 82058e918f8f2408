/** Whether a variable, or a parameter of an address, of that NAME may hold a secret: names as of the build check SecretsUsedInArgOrEnv. */
export function mayBeSecret(name: string): boolean {
  return SECRET_NAME.test(name) && !PUBLIC_NAME.test(name);
}

const SECRET_NAME =
  /(?:^|_)(?:apikey|auth|credentials?|key|password|passwd|pword|pwd|pass|secret|token)(?:_|$)|(?:password|passwd|secret|token|apikey)$/i;
const PUBLIC_NAME = /(?:^|_)(?:public|file|version)(?:_|$)/i;
