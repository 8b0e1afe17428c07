/**
 * What one block of a volume may hold: an atomic register with durability. Every change is an entry with the moments
 * at which it was asked for and answered; whether a value may be seen follows from these moments alone, whatever
 * order the store chose for changes that overlapped.
 *
 * - An entry is *replaced* by a later one that was asked for after it was answered, once the later one took effect.
 * - A read sees an entry that no answered entry replaced before the read began.
 * - A crash may lose every entry that is not durable; it never brings back one that a durable entry replaced.
 * - A cut (snapshot) happens at one moment between question and answer, the same moment for all blocks.
 */

/** One change of one block. */
export interface WriteEntry {
  readonly token: number;
  /** When it was asked for, in ticks of the run. */
  readonly issuedAt: number;
  /** When it was answered; Infinity until then. */
  answeredAt: number;
  /** Survives every crash: written with FUA, or flushed. */
  isDurable: boolean;
  /** It failed, or was advice: it may have taken effect or not, so it replaces nothing. */
  isUncertain: boolean;
}

/** A moment: [fromTick, untilTick] in which a cut must lie for a value to be in it. */
export interface CutInterval {
  readonly fromTick: number;
  readonly untilTick: number;
}

/** A value that a block may show. */
export interface Candidate {
  readonly token: number;
  readonly interval: CutInterval;
}

/** The settled value, and all changes since. */
export class WriteRegister {
  #baseToken: number;
  #entries: WriteEntry[] = [];

  constructor(baseToken: number) {
    this.#baseToken = baseToken;
  }

  get entries(): readonly WriteEntry[] {
    return this.#entries;
  }

  add(entry: WriteEntry): void {
    this.#entries.push(entry);
  }

  clone(): WriteRegister {
    const copy = new WriteRegister(this.#baseToken);
    copy.#entries = this.#entries.map((entry) => ({ ...entry }));
    return copy;
  }

  /** The run starts anew from this value (after a recovery, or when nothing is under way). */
  settle(token: number): void {
    this.#baseToken = token;
    this.#entries = [];
  }

  /** Values that a read from `beganAt` until now may return. */
  readable(beganAt: number): number[] {
    return this.#surviving((entry) => !entry.isUncertain && entry.answeredAt < beganAt);
  }

  /** Values that recovery may find. */
  recoverable(): number[] {
    return this.#surviving((entry) => !entry.isUncertain && entry.isDurable);
  }

  /** Values that a cut may hold, with the moments at which it then happened. */
  cuttable(): Candidate[] {
    const candidates: Candidate[] = [];
    const consider = (token: number, issuedAt: number, answeredAt: number) => {
      let untilTick = Infinity;
      for (const later of this.#entries) {
        if (later.isUncertain || later.issuedAt <= answeredAt) continue;
        untilTick = Math.min(untilTick, later.answeredAt);
      }
      candidates.push({ token, interval: { fromTick: issuedAt, untilTick } });
    };
    consider(this.#baseToken, -1, -1);
    for (const entry of this.#entries) consider(entry.token, entry.issuedAt, entry.answeredAt);
    return candidates;
  }

  #surviving(mayReplace: (entry: WriteEntry) => boolean): number[] {
    let newestIssue = -1;
    for (const entry of this.#entries) {
      if (mayReplace(entry)) newestIssue = Math.max(newestIssue, entry.issuedAt);
    }
    const tokens: number[] = [];
    if (newestIssue === -1) tokens.push(this.#baseToken);
    for (const entry of this.#entries) {
      if (entry.answeredAt >= newestIssue) tokens.push(entry.token);
    }
    return tokens;
  }
}
