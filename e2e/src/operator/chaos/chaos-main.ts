/**
 * `npm run chaos`: every scenario with a fault at each of its calls, in every way. It prints a line for each scenario
 * and way, and ends at the first run that does not get there, with what repeats it.
 */
import { parseArgs } from 'node:util';
import { OperatorSite } from '../operator-site.ts';
import { allScenarios } from './all-scenarios.ts';
import { faultWays, runAtRest, runScenario, type FaultWay } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';

const usage = `Usage: npm run chaos -- [--only <scenario>] [--every <n>] [--from <n>] [--list]
  --only <scenario>  this one; otherwise all
  --every <n>        a fault at each n-th call only (default: 1, at each)
  --from <n>         the first call that fails (default: 1)
  --list             names the scenarios`;

interface Sampling {
  readonly from: number;
  readonly every: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      every: { type: 'string', default: '1' },
      from: { type: 'string', default: '1' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const scenarios = allScenarios.filter(({ name }) => name === (values.only ?? name));
  const sampling = { from: Number(values.from), every: Number(values.every) };
  const isUsable = sampling.from >= 1 && sampling.every >= 1 && scenarios.length > 0;
  if (values.help || !isUsable) {
    console.log(usage);
    return values.help ? 0 : 2;
  }
  if (values.list) {
    for (const { name, steps } of scenarios)
      console.log(`${name}: ${steps.map(({ what }) => what).join('; ')}`);
    return 0;
  }
  for (const scenario of scenarios) await leadAll(scenario, sampling);
  return 0;
}

async function leadAll(scenario: Scenario, sampling: Sampling): Promise<void> {
  const site = await OperatorSite.start();
  try {
    const passCount = await runAtRest(site, scenario);
    console.log(`${scenario.name}: at rest after each step (${passCount} passes)`);
    for (const way of faultWays) await leadWay(site, scenario, { way, sampling });
  } finally {
    await site.end();
  }
}

async function leadWay(
  site: OperatorSite,
  scenario: Scenario,
  { way, sampling }: { readonly way: FaultWay; readonly sampling: Sampling },
): Promise<void> {
  const startedMs = performance.now();
  let runCount = 0;
  for (let callNumber = sampling.from; ; callNumber += sampling.every) {
    if (!(await runScenario(site, scenario, { callNumber, ...way }))) break;
    runCount += 1;
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const title = `${way.kind}${way.isCrash ? ' and crash' : ''}`;
  console.log(`${scenario.name}: ${title} at ${runCount} calls: all got there in ${seconds} s`);
}

process.exitCode = await main();
