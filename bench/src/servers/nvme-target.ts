/** Our NVMe/TCP export under our own initiator. */
import { fileURLToPath } from 'node:url';

import type { GroupContext } from '../harness/row.ts';
import { LoadProcess } from '../load/load-process.ts';
import { DaemonServer } from './daemon-server.ts';
import type { LoadTarget } from './load-target.ts';

const program = fileURLToPath(new URL('../load/nvme-load-main.js', import.meta.url));
const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:5f3c2f2e-6a43-4f0e-8d1f-9a0b7c6d5e4f';

/** A daemon of its own, with a filled volume; the load's process ends with it. */
export async function openNvmeTarget(context: GroupContext): Promise<LoadTarget> {
  const daemon = await DaemonServer.start(context, { listensForNvme: true });
  try {
    await daemon.createVolume('volume', context.dataBytes);
    await daemon.client.putHost({ volume: 'volume', hostNqn });
    const { nvme } = await daemon.client.getVolume('volume');
    const address = nvme?.addresses[0];
    if (!nvme || !address) throw new Error('Finding the NVMe/TCP export failed: there is none');
    const place = [address.address, `${address.port}`, nvme.subsystemNqn, hostNqn];
    const command = [process.execPath, program, ...place];
    const load = await LoadProcess.start(command, context.printCommand);
    return {
      measure: async ({ rw, blockBytes, queueDepth, jobs, writesPerFlush = 0 }) => {
        const ms = context.sampleSeconds * 1000;
        const line = `${rw} ${blockBytes} ${queueDepth} ${jobs} ${writesPerFlush} ${ms}`;
        const rate = await load.run(line);
        return blockBytes > 4096 ? (rate * blockBytes) / 2 ** 20 : rate;
      },
      close: async () => {
        await load.close();
        await daemon.close();
      },
    };
  } catch (error) {
    await daemon.close();
    throw error;
  }
}
