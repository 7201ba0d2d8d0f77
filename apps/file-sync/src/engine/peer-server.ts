import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import { pipeline, type Writable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { constants, createZstdCompress } from 'node:zlib';
import { isTrusted, type PeerIdentity, trustedCertificates } from '@understudy/contracts';
import { fingerprintOn } from '@understudy/platform';
import { encodeChunk } from '../domain/chunks.ts';
import type { Direction } from '../domain/direction.ts';
import { encodeFrame, encodeHead, HEAD_BYTES } from '../domain/frames.ts';
import {
  AppliedSchema,
  ChunksWantSchema,
  EPOCH_HEADER,
  PACKED,
  PAIR_HEADER,
  type Refusal,
  WANTS_MAX,
  type Want,
  WantsSchema,
} from '../domain/protocol.ts';
import { chunksOf } from './file-chunks.ts';
import type { FileSet } from './file-set.ts';
import { Gathered } from './gathered.ts';
import { reasonOf, unreadable } from './scanner.ts';

const BODY_BYTES_MAX = WANTS_MAX * 6 * 4096;
/** Less room than this is not worth a piece of a file. */
const PIECE_BYTES_MIN = 4096 + HEAD_BYTES;

/** What this server is known by, and where it listens. */
export interface OwnSide {
  readonly address: string;
  readonly port: number;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** What the server asks of the engine. */
export interface Source {
  readonly direction: () => Direction;
  set(name: string): FileSet | undefined;
  /** The peer has applied everything up to that generation. */
  peerHas(set: FileSet, generation: number): void;
  scanned(set: FileSet): Promise<void>;
}

class Refused extends Error {
  constructor(
    readonly status: number,
    readonly refusal: Refusal,
  ) {
    super(refusal.message);
  }
}

const refused = (status: number, code: string, message: string) => new Refused(status, { code, message });

/** Gives the peer what is in the file sets, while this server is the active one. Only the pinned certificate gets through. */
export class PeerServer {
  private server: Server | null = null;
  /** Node's own list lacks those that are still at the door, and whoever comes in behind it would keep a closed server open for ever. */
  private readonly connections = new Set<Socket>();
  /** Looks at sets whose beginning the peer was told. */
  private readonly looks = new Map<FileSet, Promise<void>>();

  constructor(
    private readonly own: OwnSide,
    private readonly peer: PeerIdentity,
    private readonly source: Source,
  ) {}

  /** Listens. Rejects when the port is taken. */
  listen(): Promise<void> {
    const server = createServer(
      {
        key: this.own.privateKeyPem,
        cert: this.own.certificatePem,
        ca: trustedCertificates(this.peer).map(({ certificatePem }) => certificatePem),
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.3',
        handshakeTimeout: 10_000,
      },
      (request, response) => void this.answer(request, response),
    );
    server.headersTimeout = 10_000;
    server.requestTimeout = 30_000;
    server.maxConnections = 64;
    server.on('connection', (socket: Socket) => {
      this.connections.add(socket);
      socket.once('close', () => this.connections.delete(socket));
    });
    // what strangers do at the door
    server.on('tlsClientError', () => undefined);
    this.server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.own.port, this.own.address, () => {
        server.off('error', reject);
        server.on('error', () => undefined);
        resolve();
      });
    });
  }

  close(): Promise<void> {
    const { server } = this;
    this.server = null;
    if (server === null) return Promise.resolve();
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    for (const connection of this.connections) connection.destroy();
    return closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    try {
      this.requirePeer(request);
      const url = new URL(request.url ?? '/', 'https://peer');
      const [, version, sets, name = '', what] = url.pathname.split('/');
      const set = version === 'v1' && sets === 'sets' ? this.source.set(decodeURIComponent(name)) : undefined;
      if (set === undefined)
        throw refused(404, 'unknown-set', 'the active server has no file set of this name in its configuration');
      if (request.method === 'GET' && what === 'manifest') await this.sendManifest(set, url.searchParams, response);
      else if (request.method === 'POST' && what === 'content') await this.sendContent(set, request, response);
      else if (request.method === 'POST' && what === 'chunks') await this.sendChunks(set, request, response);
      else if (request.method === 'POST' && what === 'applied') await this.noteApplied(set, request, response);
      else throw refused(404, 'unknown-request', 'there is nothing of this name');
    } catch (error) {
      const { status, refusal } =
        error instanceof Refused ? error : refused(500, 'failed', error instanceof Error ? error.message : 'failed');
      if (response.headersSent) {
        response.destroy();
        return;
      }
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(refusal));
    }
  }

  private requirePeer(request: IncomingMessage): void {
    if (!isTrusted(this.peer, fingerprintOn(request.socket as TLSSocket)))
      throw refused(403, 'not-the-peer', 'this is not the certificate of the peer');
    if (request.headers[PAIR_HEADER] !== this.peer.pairId)
      throw refused(409, 'wrong-pair', 'this server belongs to another pair');
    const epoch = Number(request.headers[EPOCH_HEADER]);
    if (!Number.isSafeInteger(epoch) || epoch < 0) throw refused(400, 'no-epoch', 'the epoch is missing');
    this.requireActive(epoch);
  }

  /** Whoever knows of a later epoch knows of a later active server. */
  private requireActive(epoch: number): void {
    const direction = this.source.direction();
    if (direction.way !== 'sends') throw refused(409, 'not-active', 'this server is not active');
    if (epoch > direction.epoch)
      throw refused(409, 'stale-epoch', `epoch ${direction.epoch} is over, ${epoch} has begun`);
  }

  private async sendManifest(set: FileSet, query: URLSearchParams, response: ServerResponse): Promise<void> {
    const since = set.numberOf(query.get('since'));
    // what is not named in a whole list goes there: it is not to lack what has come while this service was down
    const isFresh = since === null || query.get('fresh') === '1';
    const isUnfinished = isFresh && !(await this.looked(set, since, query.get('parts') === '1'));
    // else whoever is told would hear of what is found meanwhile for as long as the look goes on
    const upTo = isUnfinished ? set.inventory.generation : undefined;
    const told = () => ({ generation: set.generation, ...set.inventory.since(since, upTo) });
    // a step from one generation to the next is not to be torn apart; in another set what is newer by then does no harm
    const { generation, isPartial, entries, removed } = set.configuration.atomic
      ? await set.exclusively(async () => {
          const { entries, ...others } = told();
          return { ...others, entries: [...entries] };
        })
      : told();
    const { epoch } = this.source.direction();
    this.requireActive(epoch);
    const isPacked = !isPartial && query.get('packed') === '1';
    const out = new Gathered(isPacked ? packedInto(response) : response);
    response.writeHead(200, {
      'content-type': 'application/x-ndjson',
      ...(isPacked ? { 'content-encoding': 'zstd' } : {}),
    });
    await out.write(line({ generation, epoch, isPartial, ...(isUnfinished ? { isUnfinished } : {}) }));
    // a standby of an earlier release does not know them
    const withAttributes = query.get('attributes') === '1';
    // first: what has come back since is named behind it
    for (const path of removed) await out.write(line({ removed: path }));
    let count = removed.length;
    for (const entry of entries) {
      count += 1;
      await out.write(line(withAttributes ? entry : { ...entry, attributes: undefined }));
    }
    await out.write(line({ end: count }));
    await out.end();
  }

  /** Looks at a set, or goes on with the look whose beginning was told. False: it goes on still, and has found more than `since`. */
  private async looked(set: FileSet, since: number | null, inParts: boolean): Promise<boolean> {
    try {
      const begun = inParts && since !== null ? this.looks.get(set) : undefined;
      const look = begun ?? this.source.scanned(set);
      const isDone = look.then(() => true);
      if (!inParts || set.configuration.atomic) return await isDone;
      this.looks.set(set, look);
      const isWhole = await Promise.race([isDone, set.grows(since).then(() => false)]);
      if (isWhole) this.looks.delete(set);
      return isWhole;
    } catch (error) {
      this.looks.delete(set);
      throw refused(503, 'unreadable', unreadable(set.configuration.path, error));
    }
  }

  private async noteApplied(set: FileSet, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parsed = AppliedSchema.safeParse(parsedJson(await bodyOf(request)));
    if (!parsed.success) throw refused(422, 'invalid', 'the generation is missing');
    const generation = set.numberOf(parsed.data.generation);
    if (generation !== null) this.source.peerHas(set, generation);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{}');
  }

  private async sendContent(set: FileSet, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parsed = WantsSchema.safeParse(parsedJson(await bodyOf(request)));
    if (!parsed.success) throw refused(422, 'invalid', 'the list of files is not one');
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    const isPacked = request.headers['accept-encoding'] === PACKED;
    const out = new Gathered(response, { isPacked, throttle: set.throttle });
    const { epoch } = this.source.direction();
    for (const [index, want] of parsed.data.wants.entries()) {
      this.requireActive(epoch);
      await out.write(encodeFrame({ kind: 'begin', index }));
      const failure = await this.sendFile(set, want, out);
      await out.write(encodeFrame(failure === null ? { kind: 'end' } : { kind: 'failed', reason: failure }));
    }
    await out.end();
  }

  /** Sends the list of a file's chunks. A list that breaks off, or is of another version, is of no use and does no harm. */
  private async sendChunks(set: FileSet, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parsed = ChunksWantSchema.safeParse(parsedJson(await bodyOf(request)));
    if (!parsed.success) throw refused(422, 'invalid', 'the file is not named');
    const { path, hash, average } = parsed.data;
    const known = set.inventory.entries.get(path)?.entry;
    if (known?.kind !== 'file' || known.hash !== hash) throw refused(404, 'changed', 'it has changed since');
    const { fd } = set.tree().openFile(path);
    try {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      const out = new Gathered(response);
      for await (const chunk of chunksOf(set.calls, fd, known.size, average, set.pause))
        await out.write(encodeChunk(chunk));
      await out.end();
    } finally {
      set.calls.closeSync(fd);
    }
  }

  /** Sends a file's bytes; the standby checks them. Returns why it could not. */
  private async sendFile(
    set: FileSet,
    { path, hash, offset, length: wanted }: Want,
    out: Gathered,
  ): Promise<string | null> {
    const known = set.inventory.entries.get(path)?.entry;
    if (known?.kind !== 'file' || known.hash !== hash) return 'it has changed since';
    let fd: number;
    try {
      ({ fd } = set.tree().openFile(path));
    } catch (error) {
      return reasonOf(error);
    }
    try {
      const end = wanted === undefined ? known.size : Math.min(known.size, offset + wanted);
      for (let position = offset; position < end; ) {
        if (out.room.length < PIECE_BYTES_MIN) await out.flush();
        const { room } = out;
        const length = Math.min(room.length - HEAD_BYTES, end - position);
        const count = set.calls.readSync(fd, room, HEAD_BYTES, length, position);
        if (count === 0) return 'it has become shorter';
        encodeHead('data', count).copy(room);
        out.take(HEAD_BYTES + count);
        position += count;
      }
      return null;
    } catch (error) {
      return reasonOf(error);
    } finally {
      set.calls.closeSync(fd);
    }
  }
}

/** What is written to it goes to a response, compressed. */
function packedInto(response: ServerResponse): Writable {
  const packing = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  // whoever writes hears of it
  pipeline(packing, response, () => undefined);
  return packing;
}

function line(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > BODY_BYTES_MAX) throw refused(413, 'too-large', 'the request is too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
