/** Time as the gateway sees it: monotonic for intervals, Unix time for what people read. */
export abstract class Clock {
  abstract nowMs(): number;
  abstract unixMs(): number;
}
