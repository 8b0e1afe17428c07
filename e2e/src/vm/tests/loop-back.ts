/**
 * A node that is target and initiator at once: the kernel writes its file system's pages to a daemon on the same
 * machine while memory is short, so that the kernel needs the daemon in order to free memory that the daemon may need.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { namespacePaths, StorageNode } from '../storage-node.ts';
import type { VmTest } from '../vm-test.ts';

const nvmePort = 4420;
const volumeBytes = 512 * 2 ** 20;
/** Memory that is left beside what cannot be given back; the file below is larger. */
const availableMib = 160;
const fileMib = 256;
const commandTimeoutMs = 400_000;

/** Buffered writes larger than the memory that is left. */
export const loopBackTest: VmTest = {
  name: 'vm-loop-back',
  summary: 'a node whose kernel uses its own daemon comes through a shortage of memory',
  programs: [],
  timeoutMs: 900_000,
  run: async (bench) => {
    const { image, productImage, directory } = bench;
    const options = { image, productImage, directory, sectorBytes: 4096, nvmePort } as const;
    const node = await StorageNode.create(options);
    bench.atEnd(async () => node.destroy());
    bench.explainWith(async () => node.explain());
    await node.boot();
    await node.startDaemon();
    const devices = namespacePaths.map((path) => ({ path }));
    await node.client.putPool('pool', { devices }, { timeoutMs: 120_000 });
    await node.client.putVolume('volume', { pool: 'pool', sizeBytes: volumeBytes });
    const hostId = randomUUID();
    const hostNqn = `nqn.2014-08.org.nvmexpress:uuid:${hostId}`;
    const { subsystemNqn } = await node.client.putHost({ volume: 'volume', hostNqn });
    const { uuid } = await node.client.getVolume('volume');
    await node.machine.run(
      `shopt -s extglob
       modprobe nvme-tcp
       nvme connect --transport=tcp --traddr=127.0.0.1 --trsvcid=${nvmePort} --nqn=${subsystemNqn} \\
         --hostnqn=${hostNqn} --hostid=${hostId}
       for ((i = 0; i < 100; i++)); do
         for disk in /sys/block/nvme+([0-9])n+([0-9]); do
           if [ "$(cat $disk/uuid)" = ${uuid} ]; then echo /dev/\${disk##*/} >/run/volume; fi
         done
         if [ -e /run/volume ]; then break; fi
         sleep 0.2
       done
       mkfs.ext4 -q $(cat /run/volume)
       mkdir -p /mnt/volume
       mount -t ext4 $(cat /run/volume) /mnt/volume`,
      commandTimeoutMs,
    );
    const left = await node.machine.run(
      `# Pages of a tmpfs cannot be given back where there is no swap.
       available=$(gawk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
       mkdir -p /run/hog
       mount -t tmpfs -o size=100% hog /run/hog
       dd if=/dev/zero of=/run/hog/pages bs=1M count=$((available - ${availableMib})) status=none
       # The kernel writes dirty pages back when it must, not before.
       echo 70 >/proc/sys/vm/dirty_background_ratio
       echo 80 >/proc/sys/vm/dirty_ratio
       gawk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo`,
      commandTimeoutMs,
    );
    await node.machine.run(
      `cd /mnt/volume
       fio --name=pressure --filename=pressure --size=${fileMib}m --rw=write --bs=64k --ioengine=psync \\
         --verify=crc32c --verify_fatal=1 --do_verify=1 --end_fsync=1 --randseed=1 --verify_state_save=0`,
      commandTimeoutMs,
    );
    bench.note(`${fileMib} MiB written and verified with ${left.trim()} MiB of memory left`);
    const { stdout } = await node.machine.tryRun(
      `dmesg | grep -E 'oom-kill|Out of memory|blocked for more than|I/O error|allocation failure'`,
    );
    assert.equal(stdout, '', 'the kernel reports no stall, no error, and nothing killed');
    await node.machine.run(
      `rm -r /run/hog/pages
       umount /mnt/volume
       fsck.ext4 -f -n $(cat /run/volume)
       nvme disconnect --nqn=${subsystemNqn}`,
      commandTimeoutMs,
    );
    await node.stopDaemon();
    await node.machine.shutDown();
    // Powered off in order: the emulated caches were flushed, or never will be.
    await node.expectCleanPool();
  },
};
