/** The little of ssh2 that is used: it reads keys in OpenSSH's own format, which Node's crypto does not. */
declare module "ssh2" {
  interface ParsedKey {
    readonly comment: string;
    /** PKCS#1, SEC 1 or PKCS#8. */
    getPrivatePEM(): string;
  }
  const ssh2: {
    readonly utils: {
      /** Does not throw: what is wrong comes back as an Error. */
      parseKey(data: string | Uint8Array): ParsedKey | readonly ParsedKey[] | Error;
    };
  };
  export default ssh2;
}
