/** A fake machine with one volume and a daemon's ledger, and a plugin's operations on them. */
import { systemClock } from '@varve/common/clock';
import { silentLogger } from '@varve/common/logger';
import type { AttachmentMetadata } from '@varve/contract/kubernetes/attachment-metadata';
import type { Filesystem } from '@varve/contract/filesystem';
import { Attachment } from '../attach/attachment.ts';
import type { FilesystemLedger } from '../filesystem/filesystem-ledger.ts';
import type { PublishRequest } from '../volumes/publish-volume.ts';
import type { StageRequest } from '../volumes/stage-volume.ts';
import type { VolumeContext } from '../volumes/volume-context.ts';
import { FakeSystem, type FakeTarget } from './fake-system.ts';

const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:6f0e1c6e-3c0c-4d50-8b07-5f6b5a2f3b11';
const namespaceUuid = '0c7a1f0e-5d4f-4b57-9f6e-0d8f0b3f3a11';

/** What every request of the bench is about. */
export const benchNames = {
  volumeHandle: 'daemon/pvc-1',
  stagingPath: '/staging/globalmount',
} as const;

/** The machine, the volume and the ledger. */
export class VolumeBench {
  readonly system = new FakeSystem();
  readonly target: FakeTarget;
  filesystem: Filesystem = { state: 'blank' };
  /** Fails on cue too. */
  ledgerFails: () => boolean = () => false;

  constructor() {
    const subsystemNqn = `nqn.2026-11.dev.varve:volume:${namespaceUuid}`;
    this.target = this.system.addTarget({ subsystemNqn, namespaceUuid, sizeBytes: 1 << 30 });
  }

  /** What a plugin that starts now works with. Waits take no time. */
  context(): VolumeContext {
    const { system } = this;
    const log = silentLogger();
    const clock = {
      ...systemClock,
      setTimer: (callback: () => void) => systemClock.setTimer(callback, 0),
    };
    const path = { reconnectDelaySeconds: 2, lossTimeoutSeconds: 600 };
    const attachment = new Attachment({ path }, { system, clock, log });
    return { system, attachment, ledgers: () => this.#ledger(), log };
  }

  /** A call to stage it, with what is to be different. */
  stageRequest(changes: Partial<StageRequest> = {}): StageRequest {
    return {
      ...benchNames,
      volume: 'pvc-1',
      access: { kind: 'mount', filesystem: 'ext4', options: [] },
      accessMode: 'SINGLE_NODE_WRITER',
      metadata: this.metadata(),
      keys: {},
      ...changes,
    };
  }

  /** A call to publish it. */
  publishRequest(targetPath: string, changes: Partial<PublishRequest> = {}): PublishRequest {
    return {
      ...benchNames,
      targetPath,
      accessKind: 'mount',
      accessMode: 'SINGLE_NODE_WRITER',
      readOnly: false,
      ...changes,
    };
  }

  /** What the attach step says. */
  metadata(): AttachmentMetadata {
    const { subsystemNqn, sizeBytes } = this.target;
    const portals = [4420, 4421].map((port) => ({ host: '192.0.2.1', port }));
    const daemonEndpoint = 'https://192.0.2.1:8443';
    return { hostNqn, subsystemNqn, namespaceUuid, sizeBytes, portals, daemonEndpoint };
  }

  /** What of the volume is on the machine. */
  remains(): readonly string[] {
    const { mounts, controllers, states, paths } = this.system;
    return [
      ...mounts.map(({ path }) => `mount ${path}`),
      ...[...controllers.keys()].map((name) => `controller ${name}`),
      ...[...states.keys()].map((name) => `state ${name}`),
      ...[...paths.keys()].filter((path) => path.startsWith('/pods/')),
    ];
  }

  #ledger(): FilesystemLedger {
    return {
      read: async () => {
        if (this.ledgerFails()) throw new Error('the daemon does not answer');
        return Promise.resolve(this.filesystem);
      },
      write: async (_volume, state, type) => {
        if (this.ledgerFails()) throw new Error('the daemon does not answer');
        this.filesystem = { state, type };
        return Promise.resolve();
      },
    };
  }
}
