/** So few files may always go. */
const ALWAYS_ALLOWED = 10;
/** A set that loses more than this part of its files at once has rather lost its disk. */
const LARGEST_PART = 0.5;

/** Whether so many of a set's files may go without an operator's word. */
export function mayDelete(going: number, before: number): boolean {
  return going <= ALWAYS_ALLOWED || going <= before * LARGEST_PART;
}
