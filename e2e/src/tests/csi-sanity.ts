/**
 * csi-sanity, the conformance tests of the CSI project, against the node plugin: its Identity and Node
 * services are the real ones, on a machine in memory; the Controller service that they need volumes from is
 * for tests alone.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ManagedProcess } from '../process/managed-process.ts';
import { tryCommand } from '../process/run-command.ts';
import { programs } from '../product/programs.ts';
import type { Site } from '../product/site.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const startTimeoutMs = 60_000;
const runTimeoutMs = 120_000;
const volumeBytes = 2 ** 30;

/** Specs of the services that the plugin has; the others are of services that only tests have, or nobody. */
const ownSpecs = /^(Identity|Node) Service/;

interface Report {
  readonly SpecReports: readonly {
    readonly ContainerHierarchyTexts: readonly string[] | null;
    readonly LeafNodeType: string;
    readonly LeafNodeText: string;
    readonly State: string;
  }[];
}

async function runSanity(site: Site): Promise<void> {
  const binary = site.tools.get('csi-sanity');
  assert.ok(binary !== undefined, 'csi-sanity is built');
  mkdirSync(site.directory, { recursive: true });
  const socket = join(site.directory, 'csi.sock');
  const plugin = new ManagedProcess({
    name: 'varve-node',
    command: process.execPath,
    args: ['--enable-source-maps', programs.sanityPlugin, socket],
    logFile: join(site.directory, 'varve-node.log'),
  });
  await plugin.waitUntil(
    'the node plugin to serve',
    async () => Promise.resolve(plugin.hasLogged('"msg":"started"') ? true : undefined),
    startTimeoutMs,
  );
  const reportFile = join(site.directory, 'report.json');
  const result = await tryCommand(
    binary,
    [
      `--csi.endpoint=unix://${socket}`,
      `--csi.mountdir=${join(site.directory, 'mount')}`,
      `--csi.stagingdir=${join(site.directory, 'staging')}`,
      `--csi.testvolumesize=${volumeBytes}`,
      `--csi.testvolumeexpandsize=${2 * volumeBytes}`,
      `--ginkgo.json-report=${reportFile}`,
      '--ginkgo.no-color',
    ],
    { timeoutMs: runTimeoutMs },
  );
  assert.equal(result.code, 0, `csi-sanity: ${result.stdout.slice(-4000)}${plugin.logTail()}`);
  reportSpecs(site, JSON.parse(readFileSync(reportFile, 'utf8')) as readonly Report[]);
  const exit = await plugin.stop();
  assert.deepEqual(exit, { code: 0, signal: null }, 'no mount, connection or state file is left');
}

function reportSpecs(site: Site, reports: readonly Report[]): void {
  const specs = reports
    .flatMap(({ SpecReports }) => SpecReports)
    .filter(({ LeafNodeType }) => LeafNodeType === 'It')
    .map(({ ContainerHierarchyTexts, LeafNodeText, State }) => ({
      name: [...(ContainerHierarchyTexts ?? []), LeafNodeText].join(' '),
      state: State,
    }));
  for (const { name } of specs.filter(({ state }) => state === 'passed')) {
    site.note(`passed: ${name}`);
  }
  const own = specs.filter(({ name }) => ownSpecs.test(name));
  const notPassed = own.filter(({ state }) => state !== 'passed');
  assert.deepEqual(notPassed, [], 'every spec of Identity and Node passes, none is skipped');
  assert.ok(own.length > 20, `csi-sanity has specs for Identity and Node: ${own.length}`);
}

/** The conformance tests of the CSI project. */
export const csiSanityTest: EndToEndTest = {
  name: 'csi-sanity',
  summary: 'csi-sanity passes for the node plugin: every spec of Identity and Node',
  clusters: ['embedded'],
  programs: ['csi-sanity'],
  poolBytes: 2 ** 28,
  timeoutMs: 240_000,
  run: runSanity,
};
