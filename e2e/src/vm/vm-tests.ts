/** All tests with virtual machines, in the order of the run. They run only where they are named: `--only vm`. */
import { initiatorAuthenticationTest } from './tests/initiator-authentication.ts';
import { initiatorFileSystemsTest } from './tests/initiator-file-systems.ts';
import { initiatorRestartsTest } from './tests/initiator-restarts.ts';
import { loopBackTest } from './tests/loop-back.ts';
import { nodePluginTest } from './tests/node-plugin.ts';
import { storageNodeTests } from './tests/storage-node.ts';
import type { VmTest } from './vm-test.ts';

/** The name that stands for all of them on the command line. */
export const vmGroup = 'vm';

/** The tests by order of the run. */
export const vmTests: readonly VmTest[] = [
  ...storageNodeTests,
  initiatorFileSystemsTest,
  initiatorRestartsTest,
  initiatorAuthenticationTest,
  loopBackTest,
  nodePluginTest,
];
