/** `npm start -- --demo`, as a newcomer types it. */
import { join } from 'node:path';
import { runCommand } from '../process/run-command.ts';
import type { EndToEndTest } from '../runner/end-to-end-test.ts';

const gibibyte = 2 ** 30;
const repository = join(import.meta.dirname, '../../..');
const demoTimeoutMs = 180_000;

/** The playground plays the page by itself and ends with 0. */
export const playgroundDemoTest: EndToEndTest = {
  name: 'playground-demo',
  summary: '`npm start -- --demo` plays the page by itself and ends with 0',
  clusters: ['embedded'],
  programs: ['npm'],
  poolBytes: gibibyte,
  timeoutMs: 240_000,
  run: async (site) => {
    const state = join(site.directory, 'playground');
    const output = await runCommand('npm', ['start', '--', '--demo', '--state', state], {
      cwd: repository,
      timeoutMs: demoTimeoutMs,
    });
    for (const line of output.trimEnd().split('\n')) site.note(line);
  },
};
