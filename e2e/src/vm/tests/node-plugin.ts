/** The node plugin on a real kernel, with the test in kubelet's place. */
import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { overrideFolder, PluginNode } from '../plugin-node.ts';
import type { VmTest } from '../vm-test.ts';

const mebibyte = 2 ** 20;
/** mkfs.xfs refuses less than 300 MiB. */
const volumeBytes = 320 * mebibyte;
const grownBytes = 512 * mebibyte;
/** A program in the guest; emulated, and on a busy machine. */
const scriptTimeoutMs = 120_000;

type Filesystem = 'ext4' | 'xfs';

/** A volume as kubelet sees it. */
class Mounted {
  readonly node: PluginNode;
  readonly volume: string;
  readonly #capability: object;
  #publishContext: Record<string, string> = {};

  constructor(node: PluginNode, volume: string, access: Filesystem | 'block') {
    this.node = node;
    this.volume = volume;
    const kind = access === 'block' ? { block: {} } : { mount: { fsType: access } };
    this.#capability = { ...kind, accessMode: { mode: 'SINGLE_NODE_WRITER' } };
  }

  get #volumeId(): string {
    return `host/${this.volume}`;
  }

  get #staging(): string {
    return `/run/staging/${this.volume}`;
  }

  /** Where a pod finds it. */
  target(pod = 'a'): string {
    return `/var/lib/kubelet/pods/${pod}-${this.volume}`;
  }

  async attach(): Promise<void> {
    this.#publishContext = await this.node.attach(this.volume);
  }

  async stage(): Promise<void> {
    await this.node.machine.run(`mkdir -p ${this.#staging}`);
    await this.node.call('NodeStageVolume', {
      volumeId: this.#volumeId,
      stagingTargetPath: this.#staging,
      volumeCapability: this.#capability,
      publishContext: this.#publishContext,
    });
  }

  async publish(pod = 'a', readonly = false): Promise<void> {
    await this.node.call('NodePublishVolume', {
      volumeId: this.#volumeId,
      stagingTargetPath: this.#staging,
      targetPath: this.target(pod),
      volumeCapability: this.#capability,
      readonly,
    });
  }

  async unpublish(pod = 'a'): Promise<void> {
    const targetPath = this.target(pod);
    await this.node.call('NodeUnpublishVolume', { volumeId: this.#volumeId, targetPath });
  }

  async unstage(): Promise<void> {
    const request = { volumeId: this.#volumeId, stagingTargetPath: this.#staging };
    await this.node.call('NodeUnstageVolume', request);
  }

  async expand(sizeBytes: number): Promise<void> {
    const capacityRange = { requiredBytes: String(sizeBytes) };
    const request = { volumeId: this.#volumeId, volumePath: this.target(), capacityRange };
    const response = await this.node.call('NodeExpandVolume', request);
    assert.deepEqual(response, { capacityBytes: String(sizeBytes) });
  }

  async totalBytes(): Promise<number> {
    const request = { volumeId: this.#volumeId, volumePath: this.target() };
    const response = (await this.node.call('NodeGetVolumeStats', request)) as {
      readonly usage: readonly { readonly total: string }[];
      readonly volumeCondition: { readonly abnormal: boolean };
    };
    assert.equal(response.volumeCondition.abnormal, false, `${this.volume} is well`);
    return Number(response.usage[0]?.total);
  }

  async run(script: string): Promise<string> {
    return this.node.machine.run(script, scriptTimeoutMs);
  }
}

/** Formats, writes, snapshots, restores larger beside the source, grows online, and undoes all of it. */
async function liveThrough(node: PluginNode, filesystem: Filesystem): Promise<void> {
  const { client } = node.daemon;
  const [volume, restored, snapshot] = [filesystem, `${filesystem}-restored`, `${filesystem}-cut`];
  await client.putVolume(volume, { pool: 'pool', sizeBytes: volumeBytes });
  const source = new Mounted(node, volume, filesystem);
  await source.attach();
  await source.stage();
  await source.stage();
  await source.publish();
  await node.crashPlugin();
  await source.publish();
  await source.publish('b', true);
  await source.run(
    `dd if=/dev/urandom of=${source.target()}/data bs=1M count=32 status=none
     sync -f ${source.target()}
     ! touch ${source.target('b')}/x 2>/dev/null`,
  );
  await client.putSnapshot(snapshot, { volume });
  const bigger = { pool: 'pool', sizeBytes: grownBytes, source: { snapshot } };
  await client.putVolume(restored, bigger);
  const copy = new Mounted(node, restored, filesystem);
  await copy.attach();
  await copy.stage();
  await copy.publish();
  await copy.run(`busybox cmp ${source.target()}/data ${copy.target()}/data`);
  const copyBytes = await copy.totalBytes();
  assert.ok(copyBytes > volumeBytes, `the restored file system has grown to ${copyBytes}`);
  assert.ok((await source.totalBytes()) <= volumeBytes, 'the source has not');
  await client.patchVolume(volume, { sizeBytes: grownBytes });
  await source.expand(grownBytes);
  assert.ok((await source.totalBytes()) > volumeBytes, 'the source has grown online');
  await source.unpublish('b');
  await source.unpublish();
  await node.crashPlugin();
  await assert.rejects(copy.unstage(), { code: status.FAILED_PRECONDITION }, 'a pod has it');
  await source.unstage();
  await source.unstage();
  await copy.unpublish();
  await copy.unstage();
  // What was flushed is there when it comes back.
  await source.stage();
  await source.publish();
  await source.run(`test $(stat -c %s ${source.target()}/data) = ${32 * mebibyte}`);
  await source.unpublish();
  await source.unstage();
}

/** The device itself, for a pod that wants no file system. */
async function rawBlock(node: PluginNode): Promise<void> {
  await node.daemon.client.putVolume('raw', { pool: 'pool', sizeBytes: volumeBytes });
  const raw = new Mounted(node, 'raw', 'block');
  await raw.attach();
  await raw.stage();
  await raw.publish();
  await raw.run(
    `dd if=/dev/urandom of=/run/pattern bs=64k count=16 status=none
     dd if=/run/pattern of=${raw.target()} bs=64k oflag=direct status=none
     dd if=${raw.target()} bs=64k count=16 iflag=direct status=none | busybox cmp - /run/pattern`,
  );
  assert.equal(await raw.totalBytes(), volumeBytes);
  await raw.unpublish();
  await raw.unstage();
  const { state } = await node.daemon.client.getFilesystem('raw');
  assert.equal(state, 'blank', 'nobody formatted it');
  // Data that blkid does not know, on a volume that nobody formatted: the daemon knows that it was written to.
  const asFilesystem = new Mounted(node, 'raw', 'ext4');
  await asFilesystem.attach();
  await assert.rejects(asFilesystem.stage(), { code: status.FAILED_PRECONDITION });
  await raw.stage();
  await raw.publish();
  await raw.run(`dd if=${raw.target()} bs=64k count=16 status=none | busybox cmp - /run/pattern`);
  await raw.unpublish();
  await raw.unstage();
}

/** The plugin is killed in the middle of mkfs; the next one formats again. */
async function crashInMkfs(node: PluginNode): Promise<void> {
  const { client } = node.daemon;
  await client.putVolume('crash', { pool: 'pool', sizeBytes: volumeBytes });
  const volume = new Mounted(node, 'crash', 'ext4');
  await volume.attach();
  // The real one is done in a blink under which nothing can be killed: this one writes, and waits.
  await volume.run(
    `mkdir -p ${overrideFolder}
     cat >${overrideFolder}/mkfs.ext4 <<'EOF'
#!/bin/bash
dd if=/dev/urandom of="\${@: -1}" bs=4k count=256 conv=fsync status=none
touch /run/in-mkfs
sleep 60
EOF
     chmod +x ${overrideFolder}/mkfs.ext4`,
  );
  const staged = volume.stage().then(
    () => 'staged',
    () => 'ended',
  );
  await volume.run(
    `for ((i = 0; i < 600; i++)); do if [ -e /run/in-mkfs ]; then break; fi; sleep 0.1; done
     [ -e /run/in-mkfs ]
     kill -9 $(cat /run/plugin.pid)
     for ((i = 0; i < 100; i++)); do if ! pgrep mkfs.ext4 >/dev/null; then break; fi; sleep 0.1; done
     if pgrep mkfs.ext4; then exit 1; fi
     rm -r ${overrideFolder}`,
  );
  assert.equal(await staged, 'ended');
  assert.equal((await client.getFilesystem('crash')).state, 'formatting');
  await node.startPlugin();
  await volume.stage();
  assert.equal((await client.getFilesystem('crash')).state, 'ready');
  await volume.unstage();
}

/** After a revoke nothing that the node writes arrives, and what was flushed is there. */
async function fencing(node: PluginNode): Promise<void> {
  const volume = new Mounted(node, 'ext4', 'ext4');
  await volume.attach();
  await volume.stage();
  await volume.publish();
  await volume.run(`echo flushed >${volume.target()}/before; sync -f ${volume.target()}`);
  await node.revoke('ext4');
  const { code } = await node.machine.tryRun(
    `dd if=/dev/zero of=${volume.target()}/after bs=4k count=1 oflag=direct conv=fsync status=none`,
    scriptTimeoutMs,
  );
  assert.notEqual(code, 0, 'a write after the revoke fails');
  await volume.unpublish();
  await volume.unstage();
  await volume.attach();
  await volume.stage();
  await volume.publish();
  await volume.run(
    `test "$(cat ${volume.target()}/before)" = flushed; test ! -s ${volume.target()}/after`,
  );
  await volume.unpublish();
  await volume.unstage();
}

/** What a pod's events say. */
async function errors(node: PluginNode): Promise<void> {
  const { client } = node.daemon;
  await client.putVolume('errors', { pool: 'pool', sizeBytes: volumeBytes });
  const volume = new Mounted(node, 'errors', 'ext4');
  await volume.attach();
  await assert.rejects(volume.stage(), { code: status.FAILED_PRECONDITION, details: /modprobe/ });
  await node.machine.run('modprobe nvme-tcp');
  await node.revoke('errors');
  await assert.rejects(volume.stage(), {
    code: status.PERMISSION_DENIED,
    details: /access was not granted or has been revoked/,
  });
  await volume.attach();
  await volume.stage();
  await volume.unstage();
}

/** The plugin's life with a real kernel. */
export const nodePluginTest: VmTest = {
  name: 'node-plugin',
  summary:
    'the node plugin mounts ext4, xfs and raw block, restores beside the source, grows, survives kill -9',
  programs: [],
  timeoutMs: 20 * 60_000,
  run: async (bench) => {
    const node = await PluginNode.start(bench);
    await node.startPlugin();
    for (const step of [
      errors,
      rawBlock,
      crashInMkfs,
      async () => liveThrough(node, 'ext4'),
      fencing,
      async () => liveThrough(node, 'xfs'),
    ]) {
      const startMs = performance.now();
      await step(node);
      await node.expectNothingLeft();
      bench.note(`${step.name || 'a life'}: ${Math.round((performance.now() - startMs) / 1000)} s`);
    }
  },
};
