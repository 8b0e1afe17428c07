/**
 * How a cell gets groups that others do not need. Nobody is in charge: a cell that needs one asks through the table of
 * owners, which may be on other threads; every cell gives back what is empty, beyond what it keeps for itself, and says
 * that it has. Nobody waits for another while holding anything.
 */
import type { GroupOwners } from '../../allocator/group-owners.ts';
import type { StoreEnvironment } from '../store-environment.ts';

/** A cell that is busy freeing space takes its time; one whose thread hangs must not keep others waiting. */
const answerTimeoutMs = 1000;

/** Asks, and answers. */
export class GroupExchange {
  readonly #cell: number;
  readonly #owners: GroupOwners;
  readonly #environment: StoreEnvironment;
  readonly #giveBack: () => Promise<void>;
  #ownRequest = 0;
  #asking: Promise<void> | undefined;
  #isStopped = false;
  /** Requests of this cell so far. */
  requests = 0;

  constructor(
    options: { cell: number },
    dependencies: {
      owners: GroupOwners;
      environment: StoreEnvironment;
      /** Gives back what can be spared; resolves when others may take it. */
      giveBack: () => Promise<void>;
    },
  ) {
    this.#cell = options.cell;
    this.#owners = dependencies.owners;
    this.#environment = dependencies.environment;
    this.#giveBack = dependencies.giveBack;
  }

  /** Begins to answer. */
  start(): void {
    this.#owners.answer(this.#cell, this.#owners.lastRequest);
    void this.#serve(this.#owners.lastRequest);
  }

  /** Answers no more; whoever waits for it goes on. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#owners.leave(this.#cell);
  }

  /** Asks the others, if there is nothing left; resolves when all have answered, or not in time. */
  request(): Promise<void> {
    if (this.#owners.unownedCount > 0 || this.#isStopped) return Promise.resolve();
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    this.requests++;
    const request = this.#owners.ask();
    this.#ownRequest = request;
    const { words, index } = this.#owners.answers;
    const wait = { isOver: false };
    let giveUp = () => {};
    const timeout = new Promise<void>((resolve) => {
      giveUp = this.#environment.after(answerTimeoutMs, () => {
        wait.isOver = true;
        resolve();
      });
    });
    for (;;) {
      const seen = Atomics.load(words, index);
      const isDone = wait.isOver || this.#isStopped || this.#owners.isAnswered(request, this.#cell);
      if (isDone) break;
      await Promise.race([this.#environment.whenChanged(words, index, seen), timeout]);
    }
    giveUp();
  }

  async #serve(from: number): Promise<void> {
    const { words, index } = this.#owners.requests;
    for (let seen = from; !this.#isStopped;) {
      await this.#environment.whenChanged(words, index, seen);
      const last = this.#owners.lastRequest;
      if (this.#isStopped || last === seen) continue;
      seen = last;
      // What this cell asked for itself it does not have.
      if (seen !== this.#ownRequest) await this.#giveBack();
      if (!this.#isStopped) this.#owners.answer(this.#cell, seen);
    }
  }
}
