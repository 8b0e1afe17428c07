/** Whether what was read is what may be there. */
import { blockSectors, decodeBlock } from './block-content.ts';
import { SimulationFailure, expectHolds } from './simulation-failure.ts';
import type { ModelNode, StoreModel } from './store-model.ts';
import type { Candidate } from './write-register.ts';

/** One block as a node showed it. */
export interface BlockReading {
  readonly lbn: number;
  readonly bytes: Uint8Array;
}

/** Judges a block that was read while other I/O may have been under way, and returns what it holds. */
export function judgeRead(
  model: StoreModel,
  node: ModelNode,
  reading: BlockReading,
  beganAt: number,
): number {
  const register = node.registers.get(reading.lbn);
  const allowed = register ? register.readable(beganAt) : [node.tokens[reading.lbn] ?? 0];
  return judgeBlock(model, { node, reading, allowed });
}

/** Judges all blocks of a node after a recovery and returns what they hold. */
export function judgeRecovered(
  model: StoreModel,
  node: ModelNode,
  readings: readonly BlockReading[],
): Uint32Array {
  const tokens = new Uint32Array(node.sizeBlocks);
  for (const reading of readings) {
    const register = node.registers.get(reading.lbn);
    const allowed = register ? register.recoverable() : [node.tokens[reading.lbn] ?? 0];
    tokens[reading.lbn] = judgeBlock(model, { node, reading, allowed });
  }
  return tokens;
}

/**
 * Judges all blocks of a node that was cut from a volume, and returns what they hold. Beyond each block's own
 * candidates there must be one moment that fits all blocks: that is what "point in time" means.
 */
export function judgeCut(
  model: StoreModel,
  node: ModelNode,
  readings: readonly BlockReading[],
): Uint32Array {
  const cut = node.cut;
  expectHolds(cut !== undefined, () => `${node.name} has no cut`);
  const tokens = new Uint32Array(node.sizeBlocks);
  let from = { tick: cut.issuedAt, lbn: -1 };
  let until = { tick: cut.answeredAt, lbn: -1 };
  for (const reading of readings) {
    const { lbn } = reading;
    const candidates = cutCandidates(cut.source, lbn).filter(
      ({ interval }) => interval.fromTick <= cut.answeredAt && interval.untilTick >= cut.issuedAt,
    );
    const allowed = candidates.map(({ token }) => token);
    const token = judgeBlock(model, { node, reading, allowed });
    tokens[lbn] = token;
    const isPossible = (candidate: Candidate) => shares(model, candidate.token, token);
    const possible = candidates.filter(isPossible).map(({ interval }) => interval);
    const fromTick = Math.min(...possible.map((interval) => interval.fromTick));
    const untilTick = Math.max(...possible.map((interval) => interval.untilTick));
    if (fromTick > from.tick) from = { tick: fromTick, lbn };
    if (untilTick < until.tick) until = { tick: untilTick, lbn };
  }
  expectHolds(
    from.tick <= until.tick,
    () =>
      `${node.name} is not one point in time of ${cut.source.name}: block ${from.lbn} was written at ${from.tick}, ` +
      `block ${until.lbn} was replaced at ${until.tick}`,
  );
  return tokens;
}

function cutCandidates(source: ModelNode, lbn: number): Candidate[] {
  const register = source.registers.get(lbn);
  if (register) return register.cuttable();
  return [{ token: source.tokens[lbn] ?? 0, interval: { fromTick: -1, untilTick: Infinity } }];
}

/** True if some sector of the block `found` can come from the write `token`. */
function shares(model: StoreModel, token: number, found: number): boolean {
  for (let sector = 0; sector < blockSectors; sector++) {
    if (model.torn.sectorToken(token, sector) === model.torn.sectorToken(found, sector))
      return true;
  }
  return false;
}

function judgeBlock(
  model: StoreModel,
  block: { node: ModelNode; reading: BlockReading; allowed: readonly number[] },
): number {
  const { node, reading, allowed } = block;
  const { lbn } = reading;
  const finding = decodeBlock(reading.bytes, model.poolNumber, lbn);
  const where = () => `${node.kind} ${node.name} block ${lbn}`;
  if (finding.kind === 'damaged') throw new SimulationFailure(`${where()}: ${finding.message}`);
  if (finding.kind === 'whole') {
    expectHolds(
      allowed.includes(finding.token),
      () => `${where()}: holds ${finding.token}, allowed are ${allowed.join(', ')}`,
    );
    return finding.token;
  }
  for (const [sector, token] of finding.sectorTokens.entries()) {
    expectHolds(
      allowed.some((candidate) => model.torn.sectorToken(candidate, sector) === token),
      () => `${where()}: sector ${sector} holds ${token}, allowed are ${allowed.join(', ')}`,
    );
  }
  return model.torn.tokenOf(finding.sectorTokens, lbn);
}
