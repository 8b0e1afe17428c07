/**
 * Loaded before a program of the playground (`node --import`): ends it when the playground ends, however that ends.
 * The playground holds the other end of descriptor 3; when it is closed, nobody is left to end the program.
 */
import { Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  const parent = new Socket({ fd: 3 });
  parent.on('error', () => undefined);
  parent.once('close', () => process.kill(process.pid, 'SIGTERM'));
  parent.resume();
  parent.unref();
}
