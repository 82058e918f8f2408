/** An IPv4 address as a number. */
export type Ipv4 = number & { readonly brand: "ipv4" };

/** All addresses that begin with the first BITS of ADDRESS. */
export interface Prefix {
  readonly address: Ipv4;
  readonly bits: number;
}

/** Reads `10.1.2.3`; undefined for anything else. */
export function parseIpv4(text: string): Ipv4 | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const parts = match?.slice(1).map(Number) ?? [];
  if (parts.length !== 4 || parts.some((part) => part > 255)) return undefined;
  return ipv4Of(Buffer.from(parts));
}

export function formatIpv4(address: Ipv4): string {
  return [...bytesOf(address)].join(".");
}

export function bytesOf(address: Ipv4): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address);
  return bytes;
}

export function ipv4Of(bytes: Buffer): Ipv4 {
  return bytes.readUInt32BE() as Ipv4;
}

/** The address OFFSET after that of a prefix. */
export function addressIn({ address }: Prefix, offset: number): Ipv4 {
  return ((address + offset) >>> 0) as Ipv4;
}

/** Whether two prefixes have an address in common. */
export function overlap(a: Prefix, b: Prefix): boolean {
  const mask = maskOf(Math.min(a.bits, b.bits));
  return (a.address & mask) >>> 0 === (b.address & mask) >>> 0;
}

export function maskOf(bits: number): number {
  return bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
}

/** Size of the range the steps of a machine have their addresses from: a thousand steps at once. */
export const RANGE_BITS = 22;
/** Addresses of a range but the first, which names it, the second, which is the gateway's, and the last, which means all of them. */
export const ADDRESSES = 2 ** (32 - RANGE_BITS) - 3;
/** A route to more than this much is one to everywhere else: the default route, or the halves a VPN lays over it. */
const DEFAULT_ROUTE_BITS = 7;

/** Where ranges are looked for: private ones (RFC 1918) first, where others seldom are, then those for tests (RFC 2544). */
const GROUNDS: readonly Prefix[] = [
  { address: 0x0abb0000 as Ipv4, bits: 16 }, // 10.187.0.0
  { address: 0x0ac00000 as Ipv4, bits: 10 }, // 10.192.0.0
  { address: 0xac180000 as Ipv4, bits: 13 }, // 172.24.0.0
  { address: 0xc0a88000 as Ipv4, bits: 17 }, // 192.168.128.0
  { address: 0xc6120000 as Ipv4, bits: 15 }, // 198.18.0.0
];

/**
 * The range for the steps of a machine that has TAKEN for something else; undefined where nothing private is left. The same answer for the
 * same question, so that engines that run side by side agree.
 */
export function chooseRange(taken: readonly Prefix[]): Prefix | undefined {
  const relevant = taken.filter(({ bits }) => bits > DEFAULT_ROUTE_BITS);
  for (const ground of GROUNDS) {
    if (relevant.some((each) => each.bits <= ground.bits && overlap(each, ground))) continue;
    const near = relevant.filter((each) => overlap(each, ground));
    for (let at = 0; at < 2 ** (RANGE_BITS - ground.bits); at++) {
      const range = { address: addressIn(ground, at * 2 ** (32 - RANGE_BITS)), bits: RANGE_BITS };
      if (!near.some((each) => overlap(each, range))) return range;
    }
  }
  return undefined;
}
