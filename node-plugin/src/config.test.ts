import { expect, test } from '@jest/globals';
import { readConfig } from './config.ts';

test('flags win over variables, and labels are taken apart', () => {
  const config = readConfig({
    args: ['--node-name', 'a', '--topology', 'zone=1,rack=2', '--loss-timeout-seconds=-1'],
    environment: { VARVE_NODE_NODE_NAME: 'b', VARVE_NODE_VOLUMES_MAX: '7' },
  });
  expect(config).toMatchObject({
    nodeName: 'a',
    volumesMax: 7,
    topology: { zone: '1', rack: '2' },
    lossTimeoutSeconds: -1,
    driverName: 'csi.varve.dev',
  });
});

test.each([
  [['--state-folder', 'relative'], {}, '--state-folder is "relative"'],
  [[], { VARVE_NODE_TOPOLOGY: 'zone' }, 'VARVE_NODE_TOPOLOGY is "zone"'],
  [['--daemon-key-file', '/k'], {}, 'go together'],
])('%j with %j is refused', (args, environment, message) => {
  expect(() => readConfig({ args, environment })).toThrow(message);
});
