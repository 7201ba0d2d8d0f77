import * as fs from 'node:fs';
import { ATTRIBUTE_CALLS, type AttributeCalls } from './attribute-calls.ts';

/**
 * The system calls with which file sets are read and changed. Synchronous: they run on the engine's own thread, and leave the thread
 * pool, which the decision journal's writes go through, to others.
 */
export type FileCalls = AttributeCalls &
  Pick<
    typeof fs,
    | 'openSync'
    | 'closeSync'
    | 'readSync'
    | 'writeSync'
    | 'fsyncSync'
    | 'fstatSync'
    | 'lstatSync'
    | 'readdirSync'
    | 'readlinkSync'
    | 'symlinkSync'
    | 'linkSync'
    | 'mkdirSync'
    | 'rmdirSync'
    | 'unlinkSync'
    | 'renameSync'
    | 'fchmodSync'
    | 'fchownSync'
    | 'futimesSync'
    | 'lchownSync'
  >;

/** The machine's. */
export const FILE_CALLS: FileCalls = { ...fs, ...ATTRIBUTE_CALLS };
