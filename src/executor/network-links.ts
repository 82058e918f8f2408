import {
  ACK,
  type Answer,
  attribute,
  CREATE,
  DUMP,
  EXCLUSIVE,
  type Message,
  nested,
  parseAnswer,
  parseAttributes,
  REQUEST,
  text,
  textOf,
  u32,
} from "./netlink-messages.js";
import { bytesOf, type Ipv4, ipv4Of, type Prefix } from "./network-range.js";

// <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if_addr.h>
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const AF_UNSPEC = 0;
const AF_INET = 2;
const IFF_UP = 1;
const HOST_BITS = 32;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RT_SCOPE_UNIVERSE = 0;
const RTN_UNICAST = 1;
const LINK_BYTES = 16;
const ROUTE_BYTES = 12;

/** One end of a pair of devices. INDEX is the number the kernel is to know it by. */
export interface End {
  readonly name: string;
  readonly index: number;
}

/** Makes a pair of devices: INSIDE, which is up, where this is sent to, and OUTSIDE in the namespace that the sender has open as NAMESPACE. */
export function createPair(inside: End, outside: End, namespace: number, mtu: number): Message {
  const peer = [
    linkHeader(outside.index, 0),
    attribute(IFLA_IFNAME, text(outside.name)),
    attribute(IFLA_MTU, u32(mtu)),
  ];
  const info = nested(
    IFLA_LINKINFO,
    attribute(IFLA_INFO_KIND, text("veth")),
    nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, ...peer, attribute(IFLA_NET_NS_FD, u32(namespace)))),
  );
  const own = [
    linkHeader(inside.index, IFF_UP),
    attribute(IFLA_IFNAME, text(inside.name)),
    attribute(IFLA_MTU, u32(mtu)),
  ];
  return { type: RTM_NEWLINK, flags: REQUEST | ACK | CREATE | EXCLUSIVE, body: Buffer.concat([...own, info]) };
}

/** Brings a device up. */
export function raise(index: number): Message {
  return { type: RTM_NEWLINK, flags: REQUEST | ACK, body: linkHeader(index, IFF_UP) };
}

/** Gives the device ADDRESS; PEER, and nothing else, is reached over it. */
export function addAddress(index: number, address: Ipv4, peer: Ipv4): Message {
  const header = Buffer.from([AF_INET, HOST_BITS, 0, RT_SCOPE_UNIVERSE, 0, 0, 0, 0]);
  header.writeUInt32LE(index, 4);
  const body = [header, attribute(IFA_LOCAL, bytesOf(address)), attribute(IFA_ADDRESS, bytesOf(peer))];
  return { type: RTM_NEWADDR, flags: REQUEST | ACK | CREATE | EXCLUSIVE, body: Buffer.concat(body) };
}

/** Sends everything else over GATEWAY, which the device reaches. */
export function addDefaultRoute(index: number, gateway: Ipv4): Message {
  const header = Buffer.alloc(ROUTE_BYTES);
  Buffer.from([AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST]).copy(header);
  const body = [header, attribute(RTA_GATEWAY, bytesOf(gateway)), attribute(RTA_OIF, u32(index))];
  return { type: RTM_NEWROUTE, flags: REQUEST | ACK | CREATE | EXCLUSIVE, body: Buffer.concat(body) };
}

/** Asks for all devices. */
export function listLinks(): Message {
  return { type: RTM_GETLINK, flags: REQUEST | DUMP, body: linkHeader(0, 0) };
}

/** Asks for all IPv4 routes of all tables, local ones too. */
export function listRoutes(): Message {
  const body = Buffer.alloc(ROUTE_BYTES);
  body.writeUInt8(AF_INET);
  return { type: RTM_GETROUTE, flags: REQUEST | DUMP, body };
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly up: boolean;
  /** `veth`, `bridge` …; undefined for hardware. */
  readonly kind: string | undefined;
}

/** The device an answer to `listLinks` describes. */
export function parseLink(message: Uint8Array): Link | undefined {
  const answer = parseAnswer(message, LINK_BYTES);
  const name = textOf(answer?.attributes.get(IFLA_IFNAME));
  if (answer?.type !== RTM_NEWLINK || name === undefined) return undefined;
  const info = answer.attributes.get(IFLA_LINKINFO);
  return {
    index: answer.fixed.readInt32LE(4),
    name,
    mtu: numberOf(answer, IFLA_MTU) ?? 0,
    up: (answer.fixed.readUInt32LE(8) & IFF_UP) !== 0,
    kind: info && textOf(parseAttributes(info).get(IFLA_INFO_KIND)),
  };
}

export interface Route extends Prefix {
  /** The device it leads to; undefined where it leads to several or to none. */
  readonly link: number | undefined;
  /** Where two routes lead to the same place, the lower one counts. */
  readonly priority: number;
}

/** The route an answer to `listRoutes` describes; one without destination leads everywhere. */
export function parseRoute(message: Uint8Array): Route | undefined {
  const answer = parseAnswer(message, ROUTE_BYTES);
  if (answer?.type !== RTM_NEWROUTE || answer.fixed.readUInt8(0) !== AF_INET) return undefined;
  const destination = answer.attributes.get(RTA_DST);
  return {
    address: destination?.length === 4 ? ipv4Of(destination) : (0 as Ipv4),
    bits: answer.fixed.readUInt8(1),
    link: numberOf(answer, RTA_OIF),
    priority: numberOf(answer, RTA_PRIORITY) ?? 0,
  };
}

function numberOf({ attributes }: Answer, type: number): number | undefined {
  const value = attributes.get(type);
  return value && value.length >= 4 ? value.readUInt32LE() : undefined;
}

function linkHeader(index: number, up: number): Buffer {
  const header = Buffer.alloc(LINK_BYTES);
  header.writeUInt8(AF_UNSPEC);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(up, 8);
  header.writeUInt32LE(up, 12); // which flags are meant
  return header;
}
