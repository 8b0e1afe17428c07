/**
 * What a pod's volume goes through, with the kernel as initiator: ext4 and xfs are made, filled, trimmed, grown,
 * snapshotted, and the copies are mounted beside the originals.
 */
import assert from 'node:assert/strict';
import { waitUntil } from '../../process/wait-until.ts';
import { Initiator, type AttachedVolume } from '../initiator.ts';
import type { VmBench, VmTest } from '../vm-test.ts';

const mebibyte = 2 ** 20;
const volumeBytes = 512 * mebibyte;
const grownBytes = 768 * mebibyte;
const fileMib = 96;
const commandTimeoutMs = 240_000;
const resizeTimeoutMs = 30_000;
const trimTimeoutMs = 60_000;

interface FileSystem {
  readonly type: 'ext4' | 'xfs';
  readonly make: string;
  /** Grows it while it is mounted: by device, by folder. */
  readonly grow: (device: string, folder: string) => string;
  /** A copy has the same UUID as its original. */
  readonly copyOptions: string;
}

const fileSystems: readonly FileSystem[] = [
  {
    type: 'ext4',
    make: 'mkfs.ext4 -q',
    grow: (device) => `resize2fs ${device}`,
    copyOptions: 'rw',
  },
  {
    type: 'xfs',
    make: 'mkfs.xfs -q',
    grow: (_device, folder) => `xfs_growfs ${folder}`,
    copyOptions: 'rw,nouuid',
  },
];

/** ext4 without, xfs with digests. */
export const initiatorFileSystemsTest: VmTest = {
  name: 'vm-initiator-file-systems',
  summary:
    'the kernel discovers and attaches volumes; ext4 and xfs live on them, and on their copies',
  programs: [],
  timeoutMs: 900_000,
  run: async (bench) => {
    const site = await Initiator.start(bench);
    const volumes = new Map<FileSystem, AttachedVolume>();
    for (const fileSystem of fileSystems) {
      const id = `volume-${fileSystem.type}`;
      await site.daemon.client.putVolume(id, { pool: 'pool', sizeBytes: volumeBytes });
      await expectDiscovered(site, id);
      const digests = fileSystem.type === 'xfs';
      const options = { headerDigest: digests, dataDigest: digests };
      volumes.set(fileSystem, await site.attach(id, options));
    }
    await expectDevices(site, [...volumes.values()], bench);
    for (const [fileSystem, volume] of volumes) {
      await makeAndFill(site, fileSystem, volume);
      await trim(site, fileSystem, volume, bench);
      await grow(site, fileSystem, volume);
      bench.note(`${fileSystem.type}: fio verified, trimmed, grown`);
    }
    await copies(site, volumes);
    bench.note('copies of both are mounted beside the originals, with the same files');
    for (const [{ type }, volume] of volumes) {
      await site.machine.run(`umount /mnt/${type}`, commandTimeoutMs);
      await site.detach(volume);
    }
    await site.expectNoKernelErrors();
    await site.daemon.stop();
    await site.daemon.expectCleanPool();
  },
};

/** Discovery shows a host what it was granted, and nothing else. */
async function expectDiscovered(site: Initiator, id: string): Promise<void> {
  const { uuid } = await site.daemon.client.getVolume(id);
  assert.ok(!(await site.discover()).includes(uuid), `${id} is not discovered without a grant`);
  const subsystemNqn = await site.grant(id);
  const log = await site.discover();
  assert.ok(log.includes(subsystemNqn), `${id} is discovered: ${log}`);
}

async function expectDevices(
  site: Initiator,
  volumes: readonly AttachedVolume[],
  bench: VmBench,
): Promise<void> {
  for (const { id, device } of volumes) {
    const text = await site.machine.run(
      `cd /sys/block/${device.slice(5)}; cat size queue/logical_block_size queue/write_cache queue/fua`,
    );
    bench.note(`${id} is ${device}: ${text.trim().split('\n').join(', ')}`);
    const [sectors, blockBytes, cache] = text.split('\n');
    assert.equal(Number(sectors) * 512, volumeBytes, `the size of ${device}`);
    assert.equal(blockBytes, '4096');
    assert.equal(cache, 'write back');
  }
}

async function makeAndFill(
  site: Initiator,
  { type, make }: FileSystem,
  { device }: AttachedVolume,
): Promise<void> {
  await site.machine.run(
    `${make} ${device}
     mkdir -p /mnt/${type}
     mount -t ${type} ${device} /mnt/${type}
     cd /mnt/${type}
     fio --name=verify --filename=verify --size=${fileMib}m --rw=randwrite --bsrange=4k-256k --ioengine=libaio \\
       --iodepth=32 --direct=1 --verify=crc32c --verify_fatal=1 --do_verify=1 --end_fsync=1 --randseed=1 \\
       --verify_state_save=0
     cp -r /usr/lib/modules/*/kernel/drivers files
     sync`,
    commandTimeoutMs,
  );
}

/** What is deleted and trimmed comes back at the daemon. */
async function trim(
  site: Initiator,
  { type }: FileSystem,
  { id }: AttachedVolume,
  bench: VmBench,
): Promise<void> {
  const before = (await site.daemon.client.getVolume(id)).referencedBytes;
  await site.machine.run(`rm /mnt/${type}/verify; sync; fstrim -v /mnt/${type}`, commandTimeoutMs);
  const leastBytes = (fileMib - 8) * mebibyte;
  const after = await waitUntil(
    `${type}'s deleted file to come back as free space`,
    async () => {
      const { referencedBytes } = await site.daemon.client.getVolume(id);
      return before - referencedBytes >= leastBytes ? referencedBytes : undefined;
    },
    { timeoutMs: trimTimeoutMs },
  );
  const mib = (bytes: number): string => `${(bytes / mebibyte).toFixed(1)} MiB`;
  bench.note(`${type}: fstrim took the volume from ${mib(before)} to ${mib(after)}`);
}

/** The kernel sees the new size by itself, and the mounted file system grows into it. */
async function grow(
  site: Initiator,
  fileSystem: FileSystem,
  { id, device }: AttachedVolume,
): Promise<void> {
  const folder = `/mnt/${fileSystem.type}`;
  await site.daemon.client.patchVolume(id, { sizeBytes: grownBytes });
  await waitUntil(
    `the kernel to see the new size of ${device}`,
    async () => {
      const size = await site.machine.run(`blockdev --getsize64 ${device}`);
      return Number(size) === grownBytes ? true : undefined;
    },
    { timeoutMs: resizeTimeoutMs },
  );
  await site.machine.run(fileSystem.grow(device, folder), commandTimeoutMs);
  const size = await site.machine.run(`df --block-size=1 --output=size ${folder} | tail -n 1`);
  assert.ok(Number(size) > volumeBytes, `${folder} has grown: ${size}`);
}

/** Snapshots of mounted file systems, restored and mounted while the originals change. */
async function copies(
  site: Initiator,
  volumes: ReadonlyMap<FileSystem, AttachedVolume>,
): Promise<void> {
  const { client } = site.daemon;
  const copied: { readonly fileSystem: FileSystem; readonly copy: AttachedVolume }[] = [];
  for (const [fileSystem, { id }] of volumes) {
    const { type } = fileSystem;
    await site.machine.run(
      `shopt -s globstar; cd /mnt/${type}; sha256sum files/**/*.ko.xz >sums; sync`,
      commandTimeoutMs,
    );
    await client.putSnapshot(`snapshot-${type}`, { volume: id });
    await site.machine.run(`rm -r /mnt/${type}/files; sync`, commandTimeoutMs);
    const source = { snapshot: `snapshot-${type}` };
    await client.putVolume(`copy-${type}`, { pool: 'pool', sizeBytes: grownBytes, source });
    copied.push({ fileSystem, copy: await site.attach(`copy-${type}`) });
  }
  for (const { fileSystem, copy } of copied) {
    const folder = `/mnt/copy-${fileSystem.type}`;
    const mount = `mount -t ${fileSystem.type} -o ${fileSystem.copyOptions} ${copy.device} ${folder}`;
    await site.machine.run(`mkdir -p ${folder}; ${mount}`, commandTimeoutMs);
  }
  for (const { fileSystem, copy } of copied) {
    const folder = `/mnt/copy-${fileSystem.type}`;
    await site.machine.run(
      `cd ${folder}; sha256sum --quiet -c sums; echo changed >changed; sync; [ ! -e /mnt/${fileSystem.type}/files ]
       cd /; umount ${folder}`,
      commandTimeoutMs,
    );
    await site.detach(copy);
  }
}
