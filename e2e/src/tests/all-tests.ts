/** All end-to-end tests, in the order in which they are run: the page first, the long ones last. */
import type { EndToEndTest } from '../runner/end-to-end-test.ts';
import { badClaimsTest } from './bad-claims.ts';
import { badCredentialsTest } from './bad-credentials.ts';
import { badDevicesTest } from './bad-devices.ts';
import { badRequestsTest } from './bad-requests.ts';
import { badStartsTest } from './bad-starts.ts';
import { csiSanityTest } from './csi-sanity.ts';
import { daemonOutageTest } from './daemon-outage.ts';
import { deleteOrdersTest } from './delete-orders.ts';
import { fioUnderCrashesTest } from './fio-under-crashes.ts';
import { holesTest } from './holes.ts';
import { imageRoundTripTest } from './image-round-trip.ts';
import { kubectlCommandsTest } from './kubectl-commands.ts';
import { manySnapshotsTest } from './many-snapshots.ts';
import { operatorCrashesTest } from './operator-crashes.ts';
import { playgroundDemoTest } from './playground-demo.ts';
import { sourcePageTest } from './source-page.ts';

/** The tests by order of the run. */
export const endToEndTests: readonly EndToEndTest[] = [
  sourcePageTest,
  deleteOrdersTest,
  kubectlCommandsTest,
  holesTest,
  badRequestsTest,
  badDevicesTest,
  badCredentialsTest,
  badClaimsTest,
  badStartsTest,
  daemonOutageTest,
  csiSanityTest,
  playgroundDemoTest,
  manySnapshotsTest,
  imageRoundTripTest,
  operatorCrashesTest,
  fioUnderCrashesTest,
];
