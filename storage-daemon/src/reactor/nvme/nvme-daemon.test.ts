import { expect, test } from '@jest/globals';

import { NvmeInitiator } from '../../testing/nvme-initiator/nvme-initiator.ts';
import { TestDaemon } from '../../testing/test-daemon.ts';

const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:7a1f6c1e-0000-4000-8000-000000000001';
const otherNqn = 'nqn.2014-08.org.nvmexpress:uuid:7a1f6c1e-0000-4000-8000-000000000002';

test('a volume over REST and NVMe/TCP: grant, write, grow, restart, read back, revoke', async () => {
  const nvmeListen = [{ host: '127.0.0.1', port: 0 }];
  const daemon = await TestDaemon.start({ config: { nvmeListen } });
  try {
    const { client } = daemon;
    await daemon.createPool();
    await client.putVolume('a', { pool: 'pool-1', sizeBytes: 8 * 1024 * 1024 });
    await client.putHost({ volume: 'a', hostNqn });
    const connect = async () => {
      const { nvme } = await client.getVolume('a');
      const { address, port } = nvme!.addresses[0]!;
      const where = { host: address, port, hostNqn };
      const found = await NvmeInitiator.discover(where);
      expect(found).toEqual([{ nqn: nvme!.subsystemNqn, address, port }]);
      expect(await NvmeInitiator.discover({ ...where, hostNqn: otherNqn })).toEqual([]);
      return NvmeInitiator.connect({ ...where, subsystemNqn: nvme!.subsystemNqn });
    };
    const host = await connect();
    await host.setFeature(0x0b, 0x100);
    const event = host.nextEvent();
    const data = Buffer.alloc(65_536, 0x5a);
    await host.write(100, data, { fua: true });
    await client.patchVolume('a', { sizeBytes: 16 * 1024 * 1024 });
    expect(await event).toBe(0x0004_0002);
    expect(await host.sizeBlocks()).toBe(4096);
    await daemon.restart();
    await expect(host.read(0, 1)).rejects.toThrow('clos');

    const again = await connect();
    expect((await again.read(100, 16)).equals(data)).toBe(true);
    expect((await client.getVolume('a')).connections).toBe(1);
    await client.deleteHost({ volume: 'a', hostNqn });
    await again.admin.closed;
    expect((await client.getVolume('a')).connections).toBe(0);
    const { nvme } = await client.getVolume('a');
    const where = { host: '127.0.0.1', port: nvme!.addresses[0]!.port, hostNqn };
    const { subsystemNqn } = nvme!;
    await expect(NvmeInitiator.connect({ ...where, subsystemNqn })).rejects.toMatchObject({
      status: 0x184,
    });
    expect((await client.getInfo()).exports).toEqual([
      { protocol: 'nvme-tcp', uri: expect.stringMatching(/^nvme\+tcp:\/\/127\.0\.0\.1:\d+$/) },
    ]);
  } finally {
    await daemon.end();
  }
});
