import {
  ACK,
  APPEND,
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
  u32be,
} from "./netlink-messages.js";
import { bytesOf, maskOf, type Prefix } from "./network-range.js";

// <linux/netfilter/nf_tables.h>
const SUBSYSTEM = 10 << 8;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const NEWTABLE = SUBSYSTEM | 0;
const DELTABLE = SUBSYSTEM | 2;
const NEWCHAIN = SUBSYSTEM | 3;
const GETCHAIN = SUBSYSTEM | 4;
const NEWRULE = SUBSYSTEM | 6;
const NFPROTO_UNSPEC = 0;
const NFPROTO_INET = 1;
const NFPROTO_IPV4 = 2;
const HEADER_BYTES = 4;
const TABLE_NAME = 1;
const TABLE_FLAGS = 2;
/** The table goes away with the socket that made it (Linux 5.12). */
const TABLE_OWNED = 2;
const CHAIN_TABLE = 1;
const CHAIN_NAME = 3;
const CHAIN_HOOK = 4;
const CHAIN_POLICY = 5;
const CHAIN_TYPE = 7;
const HOOK_NUMBER = 1;
const HOOK_PRIORITY = 2;
const HOOK_FORWARD = 2;
const HOOK_POSTROUTING = 4;
const PRIORITY_FILTER = 0;
const PRIORITY_SOURCE_NAT = 100;
const RULE_TABLE = 1;
const RULE_CHAIN = 2;
const RULE_EXPRESSIONS = 4;
const LIST_ELEMENT = 1;
const EXPRESSION_NAME = 1;
const EXPRESSION_DATA = 2;
const DATA_VALUE = 1;
const DATA_VERDICT = 2;
const VERDICT_CODE = 1;
const DROP = 0;
const REGISTER_VERDICT = 0;
const REGISTER = 1;
const KEY_INPUT_DEVICE = 6;
const KEY_OUTPUT_DEVICE = 7;
const KEY_CONNECTION_STATE = 0;
const STATE_ESTABLISHED = 2;
const STATE_RELATED = 4;
const NETWORK_HEADER = 1;
const SOURCE_OFFSET = 12;
const ADDRESS_BYTES = 4;
const NAME_BYTES = 16;

/** All steps' devices on the machine's side begin so. */
export const DEVICE_PREFIX = "ashlar";

/**
 * The rules of an engine, in a table named NAME that lives as long as the socket they are sent by: steps speak to the outside under the
 * machine's own address, nobody opens a connection to a step, not another one either, and none speaks under a foreign address.
 */
export function stepRules(name: string, range: Prefix): readonly Message[] {
  return batch([
    newTable(name, TABLE_OWNED),
    newChain(name, "outgoing", { type: "nat", hook: HOOK_POSTROUTING, priority: PRIORITY_SOURCE_NAT }),
    newRule(name, "outgoing", [...source("equal", range), expression("masq")]),
    newChain(name, "forwarded", { type: "filter", hook: HOOK_FORWARD, priority: PRIORITY_FILTER }),
    newRule(name, "forwarded", [...device("output", "equal", DEVICE_PREFIX, "begins"), ...notEstablished(), drop()]),
    newRule(name, "forwarded", [
      ...device("input", "equal", DEVICE_PREFIX, "begins"),
      ...source("unequal", range),
      drop(),
    ]),
  ]);
}

/**
 * A table that keeps the machine from forwarding anything for others over DEVICES, over which it forwards only for the steps' sake. It
 * stays until `removeTable`; a former one of that name is replaced.
 */
export function guardRules(name: string, devices: readonly string[]): readonly Message[] {
  const former = { ...newTable(name, 0), flags: REQUEST | ACK | CREATE };
  return batch([
    former,
    deleteTable(name), // it is there now, whether it was before or not
    newTable(name, 0),
    newChain(name, "forwarded", { type: "filter", hook: HOOK_FORWARD, priority: PRIORITY_FILTER }),
    ...devices.map((each) =>
      newRule(name, "forwarded", [
        ...device("input", "equal", each, "is"),
        ...device("output", "unequal", DEVICE_PREFIX, "begins"),
        drop(),
      ]),
    ),
  ]);
}

/** Removes a table of ours. */
export function removeTable(name: string): readonly Message[] {
  return batch([deleteTable(name)]);
}

/** Asks for all chains of IPv4 and of both families. */
export function listChains(): Message {
  return message(GETCHAIN, REQUEST | DUMP, [], NFPROTO_UNSPEC);
}

export interface Chain {
  readonly table: string;
  readonly name: string;
}

/** The chain an answer to `listChains` describes, if it drops what is forwarded and nothing else accepts. */
export function parseClosedChain(answer: Uint8Array): Chain | undefined {
  const parsed = parseAnswer(answer, HEADER_BYTES);
  const hook = parsed?.attributes.get(CHAIN_HOOK);
  const policy = parsed?.attributes.get(CHAIN_POLICY);
  if (parsed?.type !== NEWCHAIN || !hook || policy?.length !== 4 || policy.readUInt32BE() !== DROP) return undefined;
  if (![NFPROTO_INET, NFPROTO_IPV4].includes(parsed.fixed.readUInt8(0))) return undefined;
  const number = parseAttributes(hook).get(HOOK_NUMBER);
  if (number?.length !== 4 || number.readUInt32BE() !== HOOK_FORWARD) return undefined;
  return {
    table: textOf(parsed.attributes.get(CHAIN_TABLE)) ?? "",
    name: textOf(parsed.attributes.get(CHAIN_NAME)) ?? "",
  };
}

/** All or nothing. */
function batch(messages: readonly Message[]): readonly Message[] {
  const edge = (type: number): Message => ({
    type,
    flags: REQUEST,
    body: Buffer.from([NFPROTO_UNSPEC, 0, 0, SUBSYSTEM >> 8]),
  });
  return [edge(BATCH_BEGIN), ...messages, edge(BATCH_END)];
}

function message(type: number, flags: number, parts: readonly Uint8Array[], family = NFPROTO_IPV4): Message {
  return { type, flags, body: Buffer.concat([Buffer.from([family, 0, 0, 0]), ...parts]) };
}

function newTable(name: string, flags: number): Message {
  const parts = [attribute(TABLE_NAME, text(name)), attribute(TABLE_FLAGS, u32be(flags))];
  return message(NEWTABLE, REQUEST | ACK | CREATE | EXCLUSIVE, parts);
}

function deleteTable(name: string): Message {
  return message(DELTABLE, REQUEST | ACK, [attribute(TABLE_NAME, text(name))]);
}

interface BaseChain {
  readonly type: "nat" | "filter";
  readonly hook: number;
  readonly priority: number;
}

function newChain(table: string, name: string, { type, hook, priority }: BaseChain): Message {
  const parts = [
    attribute(CHAIN_TABLE, text(table)),
    attribute(CHAIN_NAME, text(name)),
    nested(CHAIN_HOOK, attribute(HOOK_NUMBER, u32be(hook)), attribute(HOOK_PRIORITY, u32be(priority))),
    attribute(CHAIN_TYPE, text(type)),
  ];
  return message(NEWCHAIN, REQUEST | ACK | CREATE | EXCLUSIVE, parts);
}

function newRule(table: string, chain: string, expressions: readonly Buffer[]): Message {
  const list = nested(RULE_EXPRESSIONS, ...expressions);
  const parts = [attribute(RULE_TABLE, text(table)), attribute(RULE_CHAIN, text(chain)), list];
  return message(NEWRULE, REQUEST | ACK | CREATE | APPEND, parts);
}

function expression(name: string, ...data: readonly Uint8Array[]): Buffer {
  return nested(LIST_ELEMENT, attribute(EXPRESSION_NAME, text(name)), nested(EXPRESSION_DATA, ...data));
}

type Relation = "equal" | "unequal";

/** The source address is in RANGE, or is not. */
function source(relation: Relation, { address, bits }: Prefix): readonly Buffer[] {
  const mask = Buffer.alloc(ADDRESS_BYTES);
  mask.writeUInt32BE(maskOf(bits));
  return [
    expression(
      "payload",
      attribute(1, u32be(REGISTER)),
      attribute(2, u32be(NETWORK_HEADER)),
      attribute(3, u32be(SOURCE_OFFSET)),
      attribute(4, u32be(ADDRESS_BYTES)),
    ),
    masked(mask),
    compare(relation, bytesOf(address)),
  ];
}

function device(side: "input" | "output", relation: Relation, name: string, how: "is" | "begins"): readonly Buffer[] {
  const key = side === "input" ? KEY_INPUT_DEVICE : KEY_OUTPUT_DEVICE;
  const whole = Buffer.alloc(NAME_BYTES);
  whole.write(name, "latin1");
  return [
    expression("meta", attribute(1, u32be(REGISTER)), attribute(2, u32be(key))),
    compare(relation, how === "is" ? whole : Buffer.from(name, "latin1")),
  ];
}

/** The packet belongs to no connection that exists, nor to one that such a connection brought about. */
function notEstablished(): readonly Buffer[] {
  return [
    expression("ct", attribute(1, u32be(REGISTER)), attribute(2, u32be(KEY_CONNECTION_STATE))),
    masked(u32(STATE_ESTABLISHED | STATE_RELATED)),
    compare("equal", u32(0)),
  ];
}

function masked(mask: Buffer): Buffer {
  return expression(
    "bitwise",
    attribute(1, u32be(REGISTER)),
    attribute(2, u32be(REGISTER)),
    attribute(3, u32be(mask.length)),
    nested(4, attribute(DATA_VALUE, mask)),
    nested(5, attribute(DATA_VALUE, Buffer.alloc(mask.length))),
  );
}

function compare(relation: Relation, value: Uint8Array): Buffer {
  const operator = relation === "equal" ? 0 : 1;
  return expression(
    "cmp",
    attribute(1, u32be(REGISTER)),
    attribute(2, u32be(operator)),
    nested(3, attribute(DATA_VALUE, value)),
  );
}

function drop(): Buffer {
  const verdict = nested(DATA_VERDICT, attribute(VERDICT_CODE, u32be(DROP)));
  return expression("immediate", attribute(1, u32be(REGISTER_VERDICT)), nested(2, verdict));
}
