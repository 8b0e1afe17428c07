/**
 * The daemon dies (kill -9) and comes back while the kernel writes: the kernel reconnects and repeats what it has no
 * answer for, and neither fio nor the file system on top sees an error.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Initiator } from '../initiator.ts';
import type { VmTest } from '../vm-test.ts';

const kills = 3;
const volumeBytes = 512 * 2 ** 20;
const fileMib = 128;
/** Slow enough that each death finds fio at work. */
const rateMib = 4;
const fioTimeoutMs = 400_000;
const downMs = 3000;

/** fio on ext4, with digests, over several deaths of the daemon. */
export const initiatorRestartsTest: VmTest = {
  name: 'vm-initiator-restarts',
  summary: `fio on ext4 sees no error while the daemon is killed ${kills} times and comes back`,
  programs: [],
  timeoutMs: 900_000,
  run: async (bench) => {
    const site = await Initiator.start(bench);
    await site.daemon.client.putVolume('volume', { pool: 'pool', sizeBytes: volumeBytes });
    const volume = await site.attach('volume', { headerDigest: true, dataDigest: true });
    await site.machine.run(
      `mkfs.ext4 -q ${volume.device}; mkdir -p /mnt/volume; mount -t ext4 ${volume.device} /mnt/volume`,
      fioTimeoutMs,
    );
    const fio = site.machine.run(
      `cd /mnt/volume
       fio --name=verify --filename=verify --size=${fileMib}m --rw=randwrite --bsrange=4k-128k --ioengine=libaio \\
         --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1 --verify_backlog=64 --do_verify=1 \\
         --fsync=64 --end_fsync=1 --rate=${rateMib}m --randseed=1 --verify_state_save=0`,
      fioTimeoutMs,
    );
    // Whoever waits for it below sees the failure; until then it must not end the run.
    fio.catch(() => undefined);
    for (let kill = 1; kill <= kills; kill++) {
      await sleep(bench.random.between(4000, 9000));
      await site.daemon.kill();
      await sleep(downMs);
      await site.daemon.start();
      await expectReconnected(site);
    }
    await fio;
    const reconnects = await site.machine.run(`dmesg | grep -c 'Successfully reconnected'`);
    assert.ok(Number(reconnects) >= 1, 'the kernel has reconnected');
    bench.note(`${kills} kill -9, ${reconnects.trim()} reconnects: all blocks verified`);
    await site.machine.run(`umount /mnt/volume; fsck.ext4 -f -n ${volume.device}`, fioTimeoutMs);
    await site.expectNoKernelErrors();
    await site.detach(volume);
    await site.daemon.stop();
    await site.daemon.expectCleanPool();
  },
};

async function expectReconnected(site: Initiator): Promise<void> {
  await site.machine.run(
    `for ((i = 0; i < 600; i++)); do
       if grep -q live /sys/class/nvme/nvme*/state; then exit 0; fi
       sleep 0.1
     done
     cat /sys/class/nvme/nvme*/state
     exit 1`,
    90_000,
  );
}
