import { execFileSync } from 'node:child_process';

/**
 * A machine at the other end of a cable: a network namespace of its own. Needs root.
 * @param number tells apart those that exist at the same time
 */
export class FarMachine {
  /** Where it is reached, and where it reaches this machine. */
  readonly address: string;
  readonly here: string;
  /** In front of a program that is to run there. */
  readonly within: readonly string[];
  readonly #name: string;

  constructor(number: number) {
    this.#name = `ctxf${number}-${process.pid}`.slice(0, 13);
    this.address = `198.51.100.${number * 4 + 2}`;
    this.here = `198.51.100.${number * 4 + 1}`;
    this.within = ['nsenter', `--net=/var/run/netns/${this.#name}`];
    const [name, near, far] = [this.#name, `${this.#name}h`, `${this.#name}f`];
    ip('netns', 'add', name);
    try {
      ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name);
      ip('address', 'add', `${this.here}/30`, 'dev', near);
      ip('link', 'set', near, 'up');
      ip('-n', name, 'address', 'add', `${this.address}/30`, 'dev', far);
      ip('-n', name, 'link', 'set', far, 'up');
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** As when the power fails: nothing comes from it any more, not even a word that connections are gone. */
  vanish(): void {
    for (const chain of ['INPUT', 'OUTPUT']) this.#inside('iptables', '-P', chain, 'DROP');
  }

  remove(): void {
    ip('netns', 'delete', this.#name);
    // Both ends of the cable, also while a process keeps the namespace alive.
    ip('link', 'delete', `${this.#name}h`);
  }

  #inside(program: string, ...args: string[]): void {
    const [enter = '', net = ''] = this.within;
    execFileSync(enter, [net, program, ...args], { stdio: 'pipe' });
  }
}

const ip = (...args: string[]) => void execFileSync('ip', args, { stdio: 'pipe' });
