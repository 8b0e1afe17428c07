/**
 * Leads a scenario once, with one fault at one call. Whatever fails, every step must come to its end; then daemon and
 * cluster agree, one more pass of every controller writes nothing, and at the end of all nothing is left.
 */
import { persistentVolumes, volumeSnapshotContents } from '@varve/operator/kube/resource';
import type { Fault, FaultKind } from '../call-gate.ts';
import { untilNothingIsLeft } from '../life-cycle.ts';
import { oneMorePass } from '../one-more-pass.ts';
import type { OperatorSite } from '../operator-site.ts';
import type { Scenario } from './scenario.ts';

/** How a run fails its call, and whether the operator dies of it. */
export interface FaultWay {
  readonly kind: FaultKind;
  readonly isCrash: boolean;
}

/** All ways; a process that is killed does not see the answer, so two are enough of that kind. */
export const faultWays: readonly FaultWay[] = [
  { kind: 'refuse', isCrash: false },
  { kind: 'drop', isCrash: false },
  { kind: 'lose-answer', isCrash: false },
  { kind: 'conflict', isCrash: false },
  { kind: 'drop', isCrash: true },
  { kind: 'lose-answer', isCrash: true },
];

/** Leads the scenario; returns whether it came to the fault. */
export async function runScenario(
  site: OperatorSite,
  scenario: Scenario,
  fault: Fault | undefined,
): Promise<boolean> {
  site.gate.arm(fault);
  const restarted = fault?.isCrash === true ? restartAfterCrash(site) : undefined;
  for (const step of scenario.steps) {
    try {
      await step.act(site);
      await step.settle(site);
      await expectAgreement(site);
      await step.check?.(site);
    } catch (error) {
      const where = `${scenario.name}, "${step.what}", with ${describeFault(fault)}`;
      throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
    }
  }
  await untilNothingIsLeft(site);
  const isReached = site.gate.isFaultSpent;
  if (isReached) await restarted;
  site.gate.disarm();
  return isReached;
}

/** Leads the scenario without a fault, and looks after each step whether all is at rest. */
export async function runAtRest(site: OperatorSite, scenario: Scenario): Promise<number> {
  let passCount = 0;
  for (const step of scenario.steps) {
    await step.act(site);
    await step.settle(site);
    await site.stopOperator();
    const { unrest, calls, ...report } = await oneMorePass(site);
    passCount += report.passCount;
    if (unrest.length + calls.length > 0) {
      throw new Error(
        `${scenario.name}: when ${step.what}, one more pass is not at rest: ` +
          [...unrest, ...calls].join('; '),
      );
    }
    site.gate.disarm();
    await site.startOperator();
  }
  return passCount;
}

/** How a fault is named in messages: enough to repeat the run. */
function describeFault(fault: Fault | undefined): string {
  if (fault === undefined) return 'no fault';
  return `${fault.kind} at call ${fault.callNumber}${fault.isCrash ? ' and a crash' : ''}`;
}

async function restartAfterCrash(site: OperatorSite): Promise<void> {
  await site.gate.crashed;
  await site.stopOperator();
  site.gate.disarm();
  await site.startOperator();
}

/** What the daemon holds is what volumes and contents name: nothing leaks, nothing is lost. */
async function expectAgreement(site: OperatorSite): Promise<void> {
  const handles = [
    ...site.list(persistentVolumes).map(({ spec }) => spec.csi?.volumeHandle),
    ...site.list(volumeSnapshotContents).map(({ status }) => status?.snapshotHandle),
  ];
  const named = handles.flatMap((handle) => handle?.split('/').slice(1) ?? []).sort();
  const held = await site.heldByDaemon();
  if (held.join() === named.join()) return;
  throw new Error(`the daemon holds ${held.join(', ')}, but the cluster knows ${named.join(', ')}`);
}
