import { type ChildProcess, spawn } from 'node:child_process';
import { type Clock, type Closable, CodedError, environmentVariable, type Log, messageOf, runCommand } from '#base';

export interface NftSessionOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Default `nft -i`. */
  readonly command?: readonly [program: string, ...args: string[]];
  /** Runs a script that the session cannot take; default `nft -f -`. */
  readonly once?: (script: string) => Promise<void>;
  readonly timeoutMs?: number;
}

/** A longer script goes to a process of its own. */
const longestLine = 16_384;
/** The program remembers every line: after so many a new one takes over. */
const mostRuns = 500;
/** So often a session may fail before there is none any more. */
const mostFailures = 3;
const marker = 'k8ts_done_';

/**
 * Runs small nftables transactions through one process that waits for the next (`nft -i`): starting one for each costs ten times as
 * much, of which the agent stands still for a part. The end of a transaction is seen by a question about a table that is not there,
 * whose refusal comes after everything else on standard error. Where nft has no such mode, each script gets its own process.
 */
export class NftSession implements Closable {
  readonly #options: NftSessionOptions;
  readonly #once: (script: string) => Promise<void>;
  #child: ChildProcess | undefined;
  #output = '';
  #heard: () => void = () => {};
  #runs = 0;
  #serial = 0;
  #failures = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: NftSessionOptions) {
    this.#options = options;
    this.#once = options.once ?? (async (script) => void (await runCommand('nft', ['-f', '-'], { input: script })));
  }

  /** One transaction; the next one waits for it. Throws CodedError `CommandFailed` with nft's words. */
  run(script: string): Promise<void> {
    const result = this.#last.then(() => this.#run(script));
    this.#last = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    await this.#last;
    this.#end();
  }

  async #run(script: string): Promise<void> {
    const line = script.trim().split('\n').join('; ');
    if (line.length > longestLine || this.#failures >= mostFailures) return this.#once(script);
    if (this.#runs >= mostRuns) this.#end();
    this.#child ??= this.#start();
    this.#runs++;
    const end = `${marker}${++this.#serial}`;
    const said = await this.#ask(this.#child, `${line}\nlist table ip ${end}\n`, `list table ip ${end}\n`);
    if (said === undefined) {
      this.#failures++;
      this.#end();
      this.#options.log.debug({ failures: this.#failures }, 'nft -i gave no answer');
      // It may have been done or not: the caller writes everything anew.
      throw new CodedError('CommandFailed', 'nft -i: gave no answer');
    }
    if (said !== '') throw new CodedError('CommandFailed', `nft -i: ${said.slice(0, 500)}`);
    this.#failures = 0;
  }

  #start(): ChildProcess {
    const [program = 'nft', ...args] = this.#options.command ?? ['nft', '-i'];
    // No home: it would keep a history of lines there.
    const env = { PATH: environmentVariable('PATH') ?? '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/dev/null' };
    const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'], env });
    const over = (error?: Error): void => {
      if (this.#child !== child) return;
      this.#child = undefined;
      if (error !== undefined) this.#options.log.debug({ error: messageOf(error) }, 'nft -i');
      this.#heard();
    };
    child.on('error', over);
    child.on('exit', () => over());
    child.stdin?.on('error', () => {});
    child.stderr?.on('data', (piece: Buffer) => {
      this.#output += piece.toString();
      this.#heard();
    });
    child.unref();
    this.#output = '';
    this.#runs = 0;
    return child;
  }

  /** What was said before `end`, without the refusal that `end` is part of; undefined when there was no end in time. */
  async #ask(child: ChildProcess, lines: string, end: string): Promise<string | undefined> {
    this.#output = '';
    let late = false;
    const timer = this.#options.clock.setTimer(() => {
      late = true;
      this.#heard();
    }, this.#options.timeoutMs ?? 10_000);
    child.stdin?.write(lines);
    try {
      while (!this.#output.includes(end)) {
        if (late || this.#child !== child) return undefined;
        await new Promise<void>((resolve) => {
          this.#heard = resolve;
        });
      }
    } finally {
      timer.cancel();
    }
    const before = this.#output.slice(0, this.#output.indexOf(end)).split('\n').slice(0, -1);
    // The last line is the refusal's own; lines of carets are what is left of an earlier one.
    return before
      .slice(0, -1)
      .filter((line) => /[^\s^~]/.test(line))
      .join(' ')
      .trim();
  }

  #end(): void {
    const child = this.#child;
    this.#child = undefined;
    child?.stdin?.end();
    child?.kill('SIGTERM');
  }
}
