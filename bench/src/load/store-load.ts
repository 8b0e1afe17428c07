/** The program that loads the store without a socket. */
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { GroupContext } from '../harness/row.ts';
import type { FioLoad } from './fio.ts';
import { LoadProcess } from './load-process.ts';

const program = fileURLToPath(new URL('./store-load-main.js', import.meta.url));
/** The pool's own share comes on top of the data. */
const poolBytesPerDataByte = 3;

/** A process that holds a pool with one filled volume. */
export class StoreLoad {
  readonly #process: LoadProcess;

  private constructor(process: LoadProcess) {
    this.#process = process;
  }

  /** Starts it; resolves when the volume is filled. */
  static async start({ directory, dataBytes, printCommand }: GroupContext): Promise<StoreLoad> {
    const poolFile = join(directory, 'store.img');
    const fd = openSync(poolFile, 'w', 0o600);
    ftruncateSync(fd, poolBytesPerDataByte * dataBytes);
    closeSync(fd);
    const command = [process.execPath, program, poolFile, `${dataBytes}`];
    return new StoreLoad(await LoadProcess.start(command, printCommand));
  }

  /** Runs a load for a time; answers requests per second. */
  run({ rw, blockBytes, queueDepth }: FioLoad, seconds: number): Promise<number> {
    return this.#process.run(`${rw} ${blockBytes} ${queueDepth} ${seconds * 1000}`);
  }

  /** Ends it. */
  close(): Promise<void> {
    return this.#process.close();
  }
}
