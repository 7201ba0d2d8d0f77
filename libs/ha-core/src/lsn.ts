/** Position in the write-ahead log as PostgreSQL prints it, `X/Y` in hexadecimal; compare with `compareLsn`. */
export type Lsn = string;

/** Byte position of an LSN's text form. */
export function parseLsn(text: Lsn): bigint {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** Text form `X/Y` of a byte position. */
export function formatLsn(position: bigint): Lsn {
  return `${(position >> 32n).toString(16).toUpperCase()}/${(position & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Bytes from `from` to `to`; negative when `to` is earlier. */
export function lsnDistance(from: Lsn, to: Lsn): number {
  return Number(parseLsn(to) - parseLsn(from));
}
