import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { pipeline } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import { isTrusted, type PeerIdentity, trustedCertificates } from '@understudy/contracts';
import { pinnedForm } from '@understudy/platform';
import { type Chunk, decodeChunks, longestList } from '../domain/chunks.ts';
import type { Entry, FileEntry, RelativePath } from '../domain/entry.ts';
import { type Frame, FrameReader, ProtocolError } from '../domain/frames.ts';
import {
  ENTRIES_MAX,
  EPOCH_HEADER,
  LINE_BYTES_MAX,
  type ManifestHead,
  ManifestHeadSchema,
  ManifestLineSchema,
  PACKED,
  PAIR_HEADER,
  RefusalSchema,
  type Want,
} from '../domain/protocol.ts';
import type { OwnSide } from './peer-server.ts';

/** No byte for so long is a dead peer. A fresh manifest of a large set takes the peer a while to make. */
const SILENCE_MS = 15_000;
const SCAN_SILENCE_MS = 600_000;
const CONNECTIONS_MAX = 4;
const CHUNKS_UNTOLD = new Set(['unknown-request', 'changed', 'failed']);

/** The peer has answered, and gives nothing. */
export class PeerRefused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** What hears of what the active server has, or of what has changed of it, line by line: it may still turn out to be no manifest. */
export interface ManifestListener {
  head(head: ManifestHead): void;
  entry(entry: Entry): void;
  removed(path: RelativePath): void;
}

/** What a manifest was, when it has come whole. */
export interface ManifestSummary extends ManifestHead {
  /** Entries and removed paths. */
  readonly lines: number;
}

/** Asks the active server. Only one that shows the pinned certificate is believed. */
export class PeerClient {
  private readonly agent: Agent;

  constructor(
    own: OwnSide,
    private readonly peer: PeerIdentity,
  ) {
    this.agent = new Agent({
      keepAlive: true,
      maxSockets: CONNECTIONS_MAX,
      key: own.privateKeyPem,
      cert: own.certificatePem,
      ca: trustedCertificates(peer).map(({ certificatePem }) => certificatePem),
      minVersion: 'TLSv1.3',
      // the certificate itself is pinned; the name in it may be of another address
      checkServerIdentity: (_, { fingerprint256 }) =>
        isTrusted(peer, pinnedForm(fingerprint256)) ? undefined : new Error('this is not the certificate of the peer'),
    });
  }

  /**
   * What has changed after generation `since` (null: everything). `isFresh`: the peer looks at its files first; `inParts`: what it has found
   * so far will do, and the rest is asked for with what came.
   */
  async manifest(
    set: string,
    { since, isFresh, inParts, epoch }: { since: string | null; isFresh: boolean; inParts: boolean; epoch: number },
    listener: ManifestListener,
    signal: AbortSignal,
  ): Promise<ManifestSummary> {
    const query = new URLSearchParams({
      ...(since === null ? {} : { since }),
      fresh: isFresh ? '1' : '0',
      attributes: '1',
      packed: '1',
      ...(inParts ? { parts: '1' } : {}),
    });
    const path = `${pathOf(set)}/manifest?${query}`;
    const response = await this.open('GET', path, epoch, null, signal, isFresh ? SCAN_SILENCE_MS : SILENCE_MS);
    const isPacked = response.headers['content-encoding'] === 'zstd';
    return readManifest(isPacked ? unpacked(response) : response, listener, inParts);
  }

  /** The content of files, as frames in the order of `wants`. */
  async *content(set: string, wants: readonly Want[], epoch: number, signal: AbortSignal): AsyncGenerator<Frame> {
    const body = JSON.stringify({ wants });
    const response = await this.open('POST', `${pathOf(set)}/content`, epoch, body, signal, SILENCE_MS);
    const reader = new FrameReader();
    for await (const chunk of response as AsyncIterable<Buffer>) yield* reader.read(chunk);
    reader.end();
  }

  /**
   * The chunks of a file's version, cut with this average length; null when the peer does not tell them: it has another version, or is of
   * a release that cannot.
   */
  async chunks(
    set: string,
    { path, hash, size }: FileEntry,
    average: number,
    epoch: number,
    signal: AbortSignal,
  ): Promise<Chunk[] | null> {
    const body = JSON.stringify({ path, hash, average });
    try {
      const response = await this.open('POST', `${pathOf(set)}/chunks`, epoch, body, signal, SCAN_SILENCE_MS);
      return decodeChunks(await bytesOf(response, longestList(size, average)), size, average);
    } catch (error) {
      if (error instanceof PeerRefused && CHUNKS_UNTOLD.has(error.code)) return null;
      throw error;
    }
  }

  /** Tells that everything up to a generation is in place here. */
  async applied(set: string, generation: string, epoch: number, signal: AbortSignal): Promise<void> {
    const body = JSON.stringify({ generation });
    const response = await this.open('POST', `${pathOf(set)}/applied`, epoch, body, signal, SILENCE_MS);
    response.resume();
  }

  close(): void {
    this.agent.destroy();
  }

  private open(
    method: string,
    path: string,
    epoch: number,
    body: string | null,
    signal: AbortSignal,
    silenceMs: number,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const outgoing = request({
        agent: this.agent,
        host: this.peer.address,
        port: this.peer.ports.fileSync,
        method,
        path,
        signal,
        timeout: silenceMs,
        headers: { [PAIR_HEADER]: this.peer.pairId, [EPOCH_HEADER]: String(epoch), 'accept-encoding': PACKED },
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`the peer was silent for ${silenceMs / 1000} s`)));
      outgoing.on('error', (error) => reject(this.unreached(error)));
      outgoing.on('response', (response) => {
        if (response.statusCode === 200) resolve(response);
        else readRefusal(response, this.peer.name).then(reject, reject);
      });
      outgoing.end(body ?? undefined);
    });
  }

  /** What an operator can do something about, in words. */
  private unreached(error: NodeJS.ErrnoException): Error {
    if (error.code !== 'ECONNREFUSED') return error;
    const { address, ports } = this.peer;
    const where = `nothing listens at ${address}:${ports.fileSync}`;
    return new Error(`${where}: the other server does while it runs and has file sets in its configuration`);
  }
}

/** Throws `ProtocolError` for what cannot be unpacked. */
async function* unpacked(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  const unpacking = createZstdDecompress();
  // the error of either ends the reading below
  pipeline(response, unpacking, () => undefined);
  try {
    for await (const bytes of unpacking as AsyncIterable<Buffer>) yield bytes;
  } catch (error) {
    if (String((error as NodeJS.ErrnoException).code).startsWith('ZSTD'))
      throw new ProtocolError('a manifest that cannot be unpacked');
    throw error;
  }
}

function pathOf(set: string): string {
  return `/v1/sets/${encodeURIComponent(set)}`;
}

async function readRefusal(response: IncomingMessage, peer: string): Promise<Error> {
  let text = '';
  for await (const chunk of response) {
    text += String(chunk);
    if (text.length > 4096) break;
  }
  const parsed = RefusalSchema.safeParse(parse(text));
  if (!parsed.success) return new ProtocolError(`the peer answered ${response.statusCode}`);
  const { code, message } = parsed.data;
  // its directory may have the name of the one here
  return new PeerRefused(code, code === 'unreadable' ? `${peer}: ${message}` : message);
}

async function bytesOf(response: IncomingMessage, most: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > most) throw new ProtocolError('the list of chunks is too long');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/**
 * Reads a manifest line by line. `inParts`: it may be unfinished. Throws `ProtocolError` for anything that is none, or that breaks off, and
 * what the listener throws.
 */
export async function readManifest(
  chunks: AsyncIterable<Uint8Array>,
  listener: ManifestListener,
  inParts = false,
): Promise<ManifestSummary> {
  let head: ManifestHead | null = null;
  let ended = false;
  let count = 0;
  for await (const text of lines(chunks)) {
    const value = parse(text);
    if (ended) throw new ProtocolError('the manifest goes on behind its end');
    if (head === null) {
      const parsed = ManifestHeadSchema.safeParse(value);
      if (!parsed.success) throw new ProtocolError('the manifest has no head');
      head = parsed.data;
      // what is made of a part is not guarded, and tears an atomic set apart
      if (head.isUnfinished && !inParts) throw new ProtocolError('the manifest is a part, and all was asked for');
      listener.head(head);
      continue;
    }
    const parsed = ManifestLineSchema.safeParse(value);
    if (!parsed.success) throw new ProtocolError('the manifest has a line that is none');
    const told = parsed.data;
    if ('end' in told) {
      if (told.end !== count) throw new ProtocolError('the manifest lacks lines');
      ended = true;
      continue;
    }
    count += 1;
    if (count > ENTRIES_MAX) throw new ProtocolError('the manifest has too many lines');
    if ('removed' in told) listener.removed(told.removed);
    else listener.entry(told);
  }
  if (head === null || !ended) throw new ProtocolError('the manifest breaks off');
  return { ...head, lines: count };
}

async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of chunks) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
    if (rest.length > LINE_BYTES_MAX) throw new ProtocolError('the manifest has a line that is too long');
  }
  if (rest !== '') throw new ProtocolError('the manifest breaks off');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
