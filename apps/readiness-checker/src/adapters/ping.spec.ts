import { expect, it } from '@jest/globals';
import { parsePing } from './ping.ts';

it.each([
  [
    'iputils',
    '4 packets transmitted, 3 received, 25% packet loss, time 604ms\nrtt min/avg/max/mdev = 0.031/0.040/0.050/0.007 ms',
    { lossPercent: 25, roundTripMs: 0.04 },
  ],
  [
    'busybox',
    '4 packets transmitted, 4 packets received, 0% packet loss\nround-trip min/avg/max = 0.055/0.061/0.068 ms',
    { lossPercent: 0, roundTripMs: 0.061 },
  ],
  [
    'nobody answers',
    '4 packets transmitted, 0 received, +4 errors, 100% packet loss, time 3060ms',
    { lossPercent: 100, roundTripMs: null },
  ],
  ['no summary', 'ping: socket: Operation not permitted', null],
])('reads the summary of ping: %s', (_, output, expected) => {
  expect(parsePing(output)).toEqual(expected);
});
