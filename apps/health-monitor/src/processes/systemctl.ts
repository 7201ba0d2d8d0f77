import { execFile } from 'node:child_process';

/** What is asked of a unit; as systemd says it, empty where it has nothing to say. */
export interface UnitState {
  readonly ActiveState: string;
  readonly FragmentPath: string;
  readonly NeedDaemonReload: string;
  readonly MainPID: string;
  readonly ExecMainCode: string;
  readonly ExecMainStatus: string;
}

const PROPERTIES = ['ActiveState', 'FragmentPath', 'NeedDaemonReload', 'MainPID', 'ExecMainCode', 'ExecMainStatus'];
const QUICK_MS = 5000;

/** systemd as this machine's `systemctl` reaches it. */
export class Systemctl {
  /** `command`: the program with its first arguments. */
  constructor(private readonly command: readonly string[] = ['systemctl', '--no-ask-password']) {}

  /** Rejects with systemd's own words, or when it gives no answer in time. */
  run(args: readonly string[], limits: { limitMs?: number; signal?: AbortSignal } = {}): Promise<string> {
    const [program = '', ...first] = this.command;
    const { limitMs = QUICK_MS, signal } = limits;
    return new Promise((resolve, reject) => {
      const options = { timeout: limitMs, killSignal: 'SIGKILL', ...(signal && { signal }) } as const;
      execFile(program, [...first, ...args], options, (error, stdout, stderr) => {
        if (!error) return resolve(stdout);
        const said = stderr.trim().split('\n')[0];
        reject(new Error(said || (error.killed ? `systemd did not answer within ${limitMs / 1000} s` : error.message)));
      });
    });
  }

  async show(unit: string): Promise<UnitState> {
    const text = await this.run(['show', unit, ...PROPERTIES.flatMap((name) => ['-p', name])]);
    const entries = text
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
    return { ...Object.fromEntries(PROPERTIES.map((name) => [name, ''])), ...Object.fromEntries(entries) };
  }
}
