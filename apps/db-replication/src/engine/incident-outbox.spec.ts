import { expect, it } from '@jest/globals';
import type { Incident } from '../ports/engine-events.ts';
import { IncidentOutbox } from './incident-outbox.ts';

const incident = (code: string): Incident => ({ severity: 'warning', code, message: code });

it('what happened before anybody listened is told when somebody does, once and in its order', () => {
  const told: string[] = [];
  const outbox = new IncidentOutbox(({ code }) => told.push(code));
  outbox.tell(incident('a'));
  outbox.tell(incident('b'));
  expect(told).toEqual([]);
  outbox.open();
  outbox.tell(incident('c'));
  outbox.open();
  expect(told).toEqual(['a', 'b', 'c']);
});
