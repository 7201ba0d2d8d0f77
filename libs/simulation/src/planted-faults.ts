import type { SimulatedPair } from './simulated-pair.ts';

/** Faults of the product that the laws have to notice, by name. A check that cannot fail is worth nothing. */
export const PLANTED_FAULTS: Readonly<Record<string, (pair: SimulatedPair) => void>> = {
  'consent to everything': ({ servers }) => {
    for (const server of servers) {
      const asked = server.requested.bind(server);
      server.requested = (pairId, request) => asked(pairId, request).then(() => true);
    }
  },
  'a journal that keeps the first record': ({ servers }) => {
    for (const server of servers) {
      const first = server.disk;
      Object.defineProperty(server, 'disk', { get: () => first, set: () => undefined });
    }
  },
  'a lease for everybody': ({ witness }) => {
    if (witness !== null) witness.replace = (_, word, known) => ({ ...word, revision: known + 1, stamp: 'planted' });
  },
  'what comes late is opened all the same': ({ servers }) => {
    for (const server of servers) Object.defineProperty(server, 'isKeptClosed', { get: () => false });
  },
  'a tick after each decision, in no time': ({ servers }) => {
    for (const server of servers) {
      const announced = server.announced.bind(server);
      server.announced = (decision, cause) => {
        announced(decision, cause);
        server.tell({ type: 'tick', unixMs: 0 });
      };
    }
  },
  'a lost record that nobody doubts': ({ servers }) => {
    for (const server of servers) {
      const lose = server.loseRecord.bind(server);
      server.loseRecord = (lost) => {
        lose(lost);
        server.disk = { ...server.disk, doubt: null };
      };
    }
  },
  'commits that shall wait do not': ({ servers }) => {
    for (const { database } of servers) Object.defineProperty(database, 'commitsWait', { get: () => false });
  },
  'a standby that is told nothing of the commits': ({ servers }) => {
    for (const server of servers) {
      const answered = server.answerBeat.bind(server);
      server.answerBeat = (pairId) =>
        answered(pairId).then((status) => ({
          ...status,
          protection: { ...status.protection, change: 99, inForce: true },
        }));
    }
  },
  'nothing is set aside': ({ servers }) => {
    for (const { database } of servers) database.setAside.set = () => database.setAside;
  },
};
