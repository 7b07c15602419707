import type { ModelRecord } from '../db/model-records.ts';
import { diagnose } from '../engines/diagnosis/diagnose.ts';
import { loadingProgress } from '../engines/loading-progress.ts';
import type { Observed } from './decide.ts';
import { shownOptions } from './differences.ts';
import type { Room, RoomContainer } from './engine-room/room.ts';
import { secretsOf, tailOfLog } from './model-logs.ts';

/** A replica that answered is asked again after so long; what Docker says of its container is read in each look. */
const answeredForMs = 5_000;
const progressMs = 2_000;
const diagnosisLines = 200;
const progressLines = 30;

/** Signals that somebody sends to end a process, as exit codes, and the code of a server that obeys one. */
const endedFromOutside: ReadonlySet<number> = new Set([0, 130, 137, 143]);

/** The status that an engine's health answers with, by the engine's address; null where nothing answers in time. */
export type EngineHealth = (url: string) => Promise<number | null>;

type End = Pick<Observed, 'diagnosis'> & { readonly killed: boolean };

/** Looks at engines: what their health answers, why they ended, how far they are. */
export class EngineLook {
  readonly #room: Pick<Room, 'inspect' | 'logs'>;
  readonly #keyOf: (modelId: string) => string;
  readonly #health: EngineHealth;
  readonly #ready = new Map<string, number>();
  readonly #progress = new Map<string, { readonly atMs: number; readonly text: string | null }>();
  readonly #ends = new Map<string, End>();

  /** @param keyOf the API key of a model's engines */
  constructor(room: Pick<Room, 'inspect' | 'logs'>, keyOf: (modelId: string) => string, health: EngineHealth) {
    this.#room = room;
    this.#keyOf = keyOf;
    this.#health = health;
  }

  /** @param port on which the engine listens */
  async at(container: RoomContainer | null, port: number, record: ModelRecord): Promise<Observed> {
    if (container === null) return { container: null, probe: null, diagnosis: null };
    const { id, status, specHash, createdAtMs, address } = container;
    if (status === 'running') {
      this.#ends.delete(id);
      const probe = address === null ? 'silent' : await this.#probe(id, `http://${address}:${port}`);
      return { container: { id, status, specHash, createdAtMs, killed: false }, probe, diagnosis: null };
    }
    this.#ready.delete(id);
    const end = status === 'exited' || status === 'dead' ? await this.#endOf(container, record) : null;
    const killed = end?.killed ?? false;
    return { container: { id, status, specHash, createdAtMs, killed }, probe: null, diagnosis: end?.diagnosis ?? null };
  }

  /** Whether an engine answers, whatever Docker says. */
  async answers({ id, address }: RoomContainer, port: number): Promise<boolean> {
    return address !== null && (await this.#probe(id, `http://${address}:${port}`)) === 'ready';
  }

  /** What the log says of the start; read every two seconds. */
  async progress({ id, replica }: RoomContainer, record: ModelRecord): Promise<string | null> {
    const known = this.#progress.get(id);
    if (known !== undefined && Date.now() - known.atMs < progressMs) return known.text;
    const text = loadingProgress(await this.#lines(record, replica, progressLines));
    this.#progress.set(id, { atMs: Date.now(), text });
    return text;
  }

  /** Forgets containers that are gone. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const kept of [this.#ready, this.#progress, this.#ends])
      for (const id of kept.keys()) if (!ids.has(id)) kept.delete(id);
  }

  async #probe(id: string, url: string): Promise<Observed['probe']> {
    if (Date.now() - (this.#ready.get(id) ?? 0) < answeredForMs) return 'ready';
    this.#ready.delete(id);
    const status = await this.#health(url);
    if (status !== 200) return status === 503 ? 'loading' : 'silent';
    this.#ready.set(id, Date.now());
    return 'ready';
  }

  /** Once for each end: a container that has ended does not change, until it is started again. */
  async #endOf({ id, replica }: RoomContainer, record: ModelRecord): Promise<End> {
    const known = this.#ends.get(id);
    if (known !== undefined) return known;
    const details = await this.#room.inspect(id);
    if (details === null) return { diagnosis: null, killed: false };
    const subject = { engine: record.engine, options: shownOptions(record.options) };
    const diagnosis = diagnose(await this.#lines(record, replica, diagnosisLines), details, subject);
    const end = { diagnosis, killed: endedFromOutside.has(details.exitCode) && !details.oomKilled };
    this.#ends.set(id, end);
    return end;
  }

  /** None where Docker does not give them, as of a container that it could not remove: the looks go on. */
  #lines(record: ModelRecord, replica: number, tail: number): Promise<string[]> {
    const secrets = secretsOf(record, this.#keyOf(record.id));
    return tailOfLog(this.#room, { modelId: record.id, replica, secrets }, tail).catch(() => []);
  }
}
