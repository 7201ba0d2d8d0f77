import type { EventView, OperationView } from '@understudy/contracts';

/** One line on stdout. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A value for programs, on stdout. */
export function sayJson(value: unknown): void {
  say(JSON.stringify(value, null, 2));
}

/** What a server or its peer says, in one line: what a terminal acts on, and what turns the direction of text, is shown by its number. */
export function inOneLine(text: string): string {
  return text.replace(/\p{C}/gu, (character) => `\\u${character.codePointAt(0)?.toString(16).padStart(4, '0')}`);
}

/** One event for people: time, severity when it matters, server, sentence. */
export function eventLine({ at, severity, server, message }: EventView): string {
  const weight = severity === 'info' ? '' : `${severity.toUpperCase()} `;
  return `${at} ${server} ${weight}${inOneLine(message)}`;
}

/** Shows an operation as it proceeds: on a terminal in one line, else a line for each step. Always on stderr. */
export function progressPrinter(): { show(operation: OperationView): void; end(): void } {
  let lastStep = '';
  const isTerminal = process.stderr.isTTY === true;
  return {
    show: ({ kind, state, step, progressPercent }) => {
      const percent = progressPercent === null ? '' : ` ${Math.round(progressPercent)} %`;
      const text = `${kind}: ${state === 'running' ? step : state}${percent}`;
      if (isTerminal) process.stderr.write(`\r\u001b[K${text}`);
      else if (step !== lastStep || state !== 'running') process.stderr.write(`${text}\n`);
      lastStep = step;
    },
    end: () => {
      if (isTerminal) process.stderr.write('\n');
    },
  };
}
