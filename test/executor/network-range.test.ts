import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ADDRESSES,
  addressIn,
  chooseRange,
  formatIpv4,
  type Ipv4,
  maskOf,
  overlap,
  type Prefix,
  parseIpv4,
  RANGE_BITS,
} from "../../src/executor/network-range.js";
import { parseRoutes } from "../../src/executor/networks.js";

const prefix = (text: string): Prefix => {
  const [address = "", bits = "32"] = text.split("/");
  const parsed = parseIpv4(address);
  if (parsed === undefined) throw new Error(`no prefix: ${text}`);
  return { address: parsed, bits: Number(bits) };
};
const shown = (range: Prefix | undefined) => range && `${formatIpv4(range.address)}/${range.bits}`;
/** Mostly in the ranges that are looked at. */
const prefixes = fc
  .tuple(fc.constantFrom(0x0a, 0xac, 0xc0, 0xc6, 0x08), fc.nat(0xffffff), fc.integer({ min: 0, max: 32 }))
  .map(([first, rest, bits]): Prefix => ({ address: ((first * 2 ** 24 + rest) & maskOf(bits)) as Ipv4, bits }))
  .map(({ address, bits }) => ({ address: (address >>> 0) as Ipv4, bits }));
/** The model: as sets of addresses, by their first and last. */
const last = ({ address, bits }: Prefix) => address + 2 ** (32 - bits) - 1;
const meet = (a: Prefix, b: Prefix) => a.address <= last(b) && b.address <= last(a);

describe("the range of the steps' addresses", () => {
  it("has nothing in common with what is routed to somewhere else", () => {
    fc.assert(
      fc.property(fc.array(prefixes, { maxLength: 40 }), (taken) => {
        const range = chooseRange(taken);
        const specific = taken.filter(({ bits }) => bits > 7);
        expect(range === undefined || specific.every((each) => !meet(each, range))).toBe(true);
      }),
    );
  });
  it("does not depend on the order of the routes", () => {
    fc.assert(
      fc.property(fc.array(prefixes, { maxLength: 20 }), (taken) => {
        expect(chooseRange([...taken].reverse())).toEqual(chooseRange(taken));
      }),
    );
  });
  it("is the first free one", () => {
    expect(shown(chooseRange([]))).toBe("10.187.0.0/22");
    expect(shown(chooseRange([prefix("10.187.1.0/24")]))).toBe("10.187.4.0/22");
    expect(shown(chooseRange([prefix("10.187.0.0/16")]))).toBe("10.192.0.0/22");
    expect(shown(chooseRange([prefix("10.0.0.0/8")]))).toBe("172.24.0.0/22");
    expect(shown(chooseRange([prefix("10.0.0.0/8"), prefix("172.16.0.0/12")]))).toBe("192.168.128.0/22");
    expect(shown(chooseRange(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(prefix)))).toBe("198.18.0.0/22");
    expect(chooseRange(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15"].map(prefix))).toBeUndefined();
  });
  it("takes a default route for what it is, and the halves that a VPN lays over it", () => {
    expect(shown(chooseRange([prefix("0.0.0.0/0"), prefix("0.0.0.0/1"), prefix("128.0.0.0/1")]))).toBe("10.187.0.0/22");
  });
  it("holds an address for every number and leaves the first two and the last", () => {
    const range = prefix(`10.187.0.0/${RANGE_BITS}`);
    expect(formatIpv4(addressIn(range, 1 + ADDRESSES))).toBe("10.187.3.254");
  });
});

describe("prefixes", () => {
  it("overlap exactly if they have an address in common", () => {
    fc.assert(
      fc.property(prefixes, prefixes, (a, b) => {
        expect(overlap(a, b)).toBe(meet(a, b));
      }),
    );
  });
  it("are written as they are read", () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), (address) => {
        expect(parseIpv4(formatIpv4(address as Ipv4))).toBe(address);
      }),
    );
    for (const text of ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4/8", "::1", "01.2.3.four"]) {
      expect(parseIpv4(text)).toBeUndefined();
    }
  });
});

it("reads the routes of /proc/net/route", () => {
  const head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
  const line = (destination: string, mask: string) =>
    `eth0\t${destination}\t00000000\t0001\t0\t0\t0\t${mask}\t0\t0\t0\n`;
  const text = head + line("00000000", "00000000") + line("000200C0", "00FFFFFF") + line("0000BB0A", "00FCFFFF");
  expect(parseRoutes(`${text}junk\n`).map(shown)).toEqual(["0.0.0.0/0", "192.0.2.0/24", "10.187.0.0/22"]);
});
