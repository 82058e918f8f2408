/**
 * Writes messages in the protobuf wire format (protobuf.dev, "Encoding", proto3). A field that has its default value is left
 * out, as everywhere else; the bytes depend on nothing but the values and on the order in which fields are given.
 */
export type Field = Uint8Array;

/** A message of FIELDS, in the order they are written in. */
export function message(...fields: readonly Field[]): Uint8Array {
  return Buffer.concat(fields);
}

/** A string field; lone surrogates, which protobuf can't hold, become U+FFFD. */
export function text(number: number, value: string | undefined): Field {
  return value ? delimited(number, Buffer.from(value, "utf8")) : NOTHING;
}

/** A repeated string field: empty ones count. */
export function texts(number: number, values: readonly string[] | undefined): Field {
  return repeated(number, values, (value) => Buffer.from(value, "utf8"));
}

export function bytes(number: number, value: Uint8Array): Field {
  return value.length === 0 ? NOTHING : delimited(number, value);
}

/** An int32, int64, uint32, uint64 or enum field. VALUE is a safe integer or a bigint of 64 bits. */
export function integer(number: number, value: number | bigint | undefined): Field {
  if (value === undefined || value === 0 || value === 0n) return NOTHING;
  return requiredInteger(number, value);
}

/** An integer that is written though it is 0: one of a oneof. */
export function requiredInteger(number: number, value: number | bigint): Field {
  return Buffer.from([...varint(number * TAG_STEP + VARINT), ...varint(value)]);
}

/** A repeated integer field, packed. */
export function integers(number: number, values: readonly number[] | undefined): Field {
  if (values === undefined || values.length === 0) return NOTHING;
  return delimited(number, Buffer.from(values.flatMap((value) => varint(value))));
}

export function boolean(number: number, value: boolean | undefined): Field {
  return value ? requiredInteger(number, 1) : NOTHING;
}

/** A field that holds a message; one that is there is written though it is empty. */
export function nested(number: number, value: Uint8Array | undefined): Field {
  return value === undefined ? NOTHING : delimited(number, value);
}

/** A repeated field of messages: each of VALUES as ENCODE gives it. */
export function repeated<T>(number: number, values: readonly T[] | undefined, encode: (value: T) => Uint8Array): Field {
  return Buffer.concat((values ?? []).map((value) => delimited(number, encode(value))));
}

/** A map with string keys, sorted by them; VALUE gives field 2 of an entry. */
export function map<T>(number: number, entries: ReadonlyMap<string, T>, value: (value: T) => Field): Field {
  const sorted = [...entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return repeated(number, sorted, ([key, each]) => message(delimited(MAP_KEY, Buffer.from(key)), value(each)));
}

const MAP_KEY = 1;
/** Field 2 of an entry of a map, where it is a string or a message: written even if it is empty. */
export function mapValue(value: Uint8Array | string): Field {
  return delimited(2, Buffer.from(value));
}

/** Wire types. */
const VARINT = 0;
const LENGTH_DELIMITED = 2;
/** A tag is the number of the field times eight, and the wire type. */
const TAG_STEP = 8;
const NOTHING: Field = Buffer.alloc(0);
const SEVEN_BITS = 128;

function delimited(number: number, content: Uint8Array): Field {
  return Buffer.concat([
    Buffer.from([...varint(number * TAG_STEP + LENGTH_DELIMITED), ...varint(content.length)]),
    content,
  ]);
}

/** Seven bits a byte, the lowest first; a negative number is that of 64 bits. */
function varint(value: number | bigint): readonly number[] {
  if (typeof value === "bigint" || value < 0) return bigVarint(BigInt.asUintN(64, BigInt(value)));
  const found: number[] = [];
  let rest = value;
  for (; rest >= SEVEN_BITS; rest = Math.floor(rest / SEVEN_BITS)) found.push((rest % SEVEN_BITS) + SEVEN_BITS);
  return [...found, rest];
}

function bigVarint(value: bigint): readonly number[] {
  const found: number[] = [];
  let rest = value;
  for (; rest >= SEVEN_BITS; rest >>= 7n) found.push(Number(rest & 127n) + SEVEN_BITS);
  return [...found, Number(rest)];
}
