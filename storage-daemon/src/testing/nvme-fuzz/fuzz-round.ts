/**
 * One round of the fuzzer, made by one seed: a target with a volume, some connections, and everything that may happen
 * to them in any order. At its end all connections are cut and all requests answered; then nothing may be left.
 */
import { assert } from '@varve/common/assert';

import { ScriptedTarget } from '../nvme/scripted-target.ts';
import { SeededRandom } from '../seeded-random.ts';
import { FuzzConnection } from './fuzz-connection.ts';
import { FuzzVolume } from './fuzz-volume.ts';

/** What a round has done. */
export interface FuzzResult {
  readonly pdus: number;
  readonly connections: number;
}

const connectionsMax = 8;
const stepsMax = 400;

/**
 * Runs a round.
 *
 * Rejects at the first thing that is wrong.
 */
export async function runFuzzRound(seed: number): Promise<FuzzResult> {
  const random = new SeededRandom(seed);
  const volume = new FuzzVolume(random.fork());
  const scripted = new ScriptedTarget({ volume });
  if (random.chance(0.1)) {
    const host = { hash: undefined, key: Buffer.alloc(32, 1) };
    scripted.secrets = { host, controller: undefined };
  }
  const { target } = scripted;
  const all: FuzzConnection[] = [];
  const open = new Set<FuzzConnection>();
  let awaitedCount = 0;
  const fence = async (): Promise<void> => {
    await target.end('fenced', () => random.chance(0.7));
    awaitedCount--;
  };
  for (let step = 0; step < stepsMax; step++) {
    const what = random.weighted({
      send: 70,
      answer: 25,
      accept: open.size < connectionsMax ? 4 : 0,
      cut: 0.4,
      blockOutput: 1,
      resize: 0.5,
      fence: 0.1,
    });
    const connection = open.size > 0 ? random.pick([...open]) : undefined;
    if (what === 'accept' || !connection) {
      const accepted = new FuzzConnection(target, random.fork());
      all.push(accepted);
      open.add(accepted);
    } else if (what === 'send') connection.act();
    else if (what === 'answer' && volume.pendingCount > 0) volume.answerOne();
    else if (what === 'cut') connection.cut();
    else if (what === 'blockOutput') connection.host.queue.setOutputBlocked(random.chance(0.5));
    else if (what === 'resize') {
      volume.sizeBytes += 4096;
      for (const controller of target.controllers) controller.namespaceChanged();
      target.discoveryChanged();
    } else if (what === 'fence') {
      awaitedCount++;
      void fence();
    }
    for (const each of open) {
      each.read();
      if (each.isOver) open.delete(each);
    }
  }
  for (const each of open) each.cut();
  while (volume.pendingCount > 0) volume.answerOne();
  judgeEnd(scripted, all);
  // Fences answer by promises.
  await new Promise(setImmediate);
  assert(awaitedCount === 0, `${awaitedCount} fences have not answered`);
  return { pdus: all.reduce((sum, { pduCount }) => sum + pduCount, 0), connections: all.length };
}

/** Nothing is left when all hosts are gone and the volume has answered. */
function judgeEnd({ target, openCount }: ScriptedTarget, all: readonly FuzzConnection[]): void {
  for (const { host } of all) {
    const ends = host.events.filter((event) => event === 'ended').length;
    assert(ends === 1, `a connection ended ${ends} times`);
    assert(host.events.at(-1) === 'ended', `something came after the end: ${host.events.at(-1)}`);
  }
  assert(target.controllerCount === 0, `${target.controllerCount} controllers are left`);
  assert(openCount === 0, `the volume is open ${openCount} times`);
  assert(target.budget.usedBytes === 0, `${target.budget.usedBytes} bytes are left`);
}
