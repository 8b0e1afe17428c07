import { isProblemError } from '@varve/contract/problem';
import type { ProblemError } from '@varve/contract/problem';
import type { Pool } from '@varve/contract/pool';
import type { StorageDaemon } from '../../kube/storage-daemon-kind.ts';
import type { DaemonRegistry } from '../../daemons/daemon-registry.ts';
import type { Findings } from './world.ts';

/** A daemon that takes longer is not one that can be used. */
const askTimeoutMs = 5000;

/** Asks the daemon who it is, whether it is ready, and what pools it has. Judges nothing. */
export async function gather(
  daemon: StorageDaemon,
  registry: DaemonRegistry,
  signal: AbortSignal,
): Promise<Findings> {
  const options = { signal, timeoutMs: askTimeoutMs };
  let findings: Findings = {};
  try {
    const client = await registry.probeClientOf(daemon);
    findings = { info: await client.getInfo(options) };
    const notReady = await problemOf(client.getReadiness(options));
    if (notReady !== undefined) findings = { ...findings, notReady };
    const pools: Pool[] = [];
    for await (const pool of client.allPools(options)) pools.push(pool);
    return { ...findings, pools };
  } catch (error) {
    if (!isProblemError(error)) throw error;
    return { ...findings, failure: error };
  }
}

async function problemOf(call: Promise<void>): Promise<ProblemError | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (!isProblemError(error)) throw error;
    return error;
  }
}
