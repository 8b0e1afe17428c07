/**
 * Gives one node access to one volume, and takes it away. The key is the name of a VolumeAttachment, which kube's
 * attach/detach controller creates and deletes. It owns the attacher's finalizer, the status, and the host's grant at
 * the daemon. A repeat is harmless because the daemon's PUT and DELETE are. The daemon keeps two hosts from having a
 * volume at once, and its answer to DELETE is the fence: nothing that the host has sent can change the volume then.
 * It comes back when the attachment, volume, node or daemon changes, and with growing pauses while the daemon refuses.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  formatAttachmentMetadata,
  type AttachmentMetadata,
} from '@varve/contract/kubernetes/attachment-metadata';
import { isProblemError, ProblemError } from '@varve/contract/problem';
import type { Volume } from '@varve/contract/volume';
import type { ControllerContext } from '../../controller-context.ts';
import type { VolumeAttachment } from '../../kube/core-kinds.ts';
import { changeFinalizers } from '../../kube/finalizer.ts';
import { done, type ReconcileResult } from '../../kube/reconcile-result.ts';
import type { ControllerModule, Reconciler } from '../../kube/reconciler.ts';
import { persistentVolumes, storageDaemons, volumeAttachments } from '../../kube/resource.ts';
import { describeProblem, endWith } from '../shared/daemon-problem.ts';
import { attacherFinalizerOf } from '../shared/protocol-names.ts';
import { takeSteps } from '../shared/steps.ts';
import { createAttachedVolumeController } from './attached-volume.ts';
import { decide, type Decision, type Grant } from './decide.ts';
import { gather } from './gather.ts';
import { attachmentIndexes, attachmentWatches } from './watches.ts';

const reasons = { attach: 'AttachFailed', detach: 'DetachFailed' } as const;

/** Creates the controllers of VolumeAttachments and of the volumes that they hold. */
export function createVolumeAttachmentControllers(
  context: ControllerContext,
): readonly ControllerModule[] {
  return [
    {
      name: 'volume-attachment',
      watches: attachmentWatches,
      indexes: attachmentIndexes,
      reconciler: new VolumeAttachmentReconciler(context),
    },
    createAttachedVolumeController(context),
  ];
}

class VolumeAttachmentReconciler implements Reconciler {
  readonly #context: ControllerContext;
  readonly #finalizer: string;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#finalizer = attacherFinalizerOf(context.driverName);
  }

  async reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    return takeSteps(signal, async () => {
      const world = gather(key, this.#context.listers);
      const decision = decide(world, this.#context.driverName);
      if (world.attachment === undefined) return done();
      return this.#act(world.attachment, decision, signal);
    });
  }

  async #act(
    attachment: VolumeAttachment,
    decision: Decision,
    signal: AbortSignal,
  ): Promise<ReconcileResult | 'again'> {
    const { client } = this.#context;
    const add = [this.#finalizer];
    switch (decision.kind) {
      case 'nothing':
        return done();
      case 'wait':
        await this.#tellFailure(attachment, 'attach', decision.message);
        return done();
      case 'cannot-revoke':
        await this.#tellFailure(attachment, 'detach', decision.message);
        return done();
      case 'hold-volume':
        await changeFinalizers(client, persistentVolumes, decision.volume, { add });
        return 'again';
      case 'record':
        await this.#record(attachment, decision.annotations);
        return 'again';
      default:
        return this.#ask(attachment, decision, signal);
    }
  }

  /** Asks the daemon, and tells when it refuses. */
  async #ask(
    attachment: VolumeAttachment,
    decision: Decision & { readonly kind: 'grant' | 'revoke' },
    signal: AbortSignal,
  ): Promise<ReconcileResult> {
    const isGrant = decision.kind === 'grant';
    try {
      if (isGrant) await this.#grant(attachment, decision.grant, signal);
      else await this.#revoke(attachment, decision.grant, signal);
      return done();
    } catch (error) {
      if (!isProblemError(error)) throw error;
      await this.#tellFailure(attachment, isGrant ? 'attach' : 'detach', describeProblem(error));
      return endWith(error);
    }
  }

  /** What is recorded and what holds it are one write: neither is ever without the other. */
  async #record(
    attachment: VolumeAttachment,
    annotations: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { name, resourceVersion, finalizers = [] } = attachment.metadata;
    const held = finalizers.filter((each) => each !== this.#finalizer);
    const metadata = { resourceVersion, annotations, finalizers: [...held, this.#finalizer] };
    const body = { metadata };
    await this.#context.client.patch(volumeAttachments, { name }, { type: 'merge', body });
  }

  async #grant(
    attachment: VolumeAttachment,
    { handle, hostNqn }: Grant,
    signal: AbortSignal,
  ): Promise<void> {
    const daemon = await this.#context.daemons.clientOf(handle.daemon);
    const volume = await daemon.getVolume(handle.id, { signal });
    const place = this.#placeOf(volume, handle.daemon);
    if (!volume.hosts.includes(hostNqn)) {
      await daemon.putHost({ volume: handle.id, hostNqn }, {}, { signal });
    }
    const attachmentMetadata = formatAttachmentMetadata({ ...place, hostNqn });
    const { status } = attachment;
    const isWritten =
      status?.attached === true &&
      status.attachError === undefined &&
      isDeepStrictEqual(status.attachmentMetadata, attachmentMetadata);
    if (isWritten) return;
    await this.#patchStatus(attachment, { attached: true, attachmentMetadata, attachError: null });
  }

  /** Where the node finds the volume. */
  #placeOf(volume: Volume, daemonName: string): Omit<AttachmentMetadata, 'hostNqn'> {
    const endpoint = this.#context.listers.of(storageDaemons).get(daemonName)?.spec.endpoint;
    const { nvme, uuid, sizeBytes } = volume;
    if (nvme === undefined || nvme.addresses.length === 0 || endpoint === undefined) {
      throw new ProblemError(
        'unavailable',
        `Attaching volume ${volume.id} failed: storage daemon ${daemonName} listens for no NVMe/TCP hosts; ` +
          `it must be started with --nvme-listen`,
      );
    }
    return {
      subsystemNqn: nvme.subsystemNqn,
      namespaceUuid: uuid.toLowerCase(),
      sizeBytes,
      portals: nvme.addresses.map(({ address, port }) => ({ host: address, port })),
      daemonEndpoint: endpoint,
    };
  }

  async #revoke(
    attachment: VolumeAttachment,
    grant: Grant | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { client, daemons } = this.#context;
    if (grant !== undefined) {
      const daemon = await daemons.clientOf(grant.handle.daemon);
      try {
        await daemon.deleteHost({ volume: grant.handle.id, hostNqn: grant.hostNqn }, { signal });
      } catch (error) {
        // A volume that is gone has no hosts.
        if (!isProblemError(error) || error.kind !== 'not-found') throw error;
      }
    }
    const { status } = attachment;
    let left: VolumeAttachment = attachment;
    if (status?.attached === true || status?.detachError !== undefined) {
      const cleared = { attached: false, attachmentMetadata: null, detachError: null };
      left = await this.#patchStatus(attachment, cleared);
    }
    await changeFinalizers(client, volumeAttachments, left, { remove: [this.#finalizer] });
  }

  /** Written, and told as an event, when the message is new. */
  async #tellFailure(
    attachment: VolumeAttachment,
    action: 'attach' | 'detach',
    message: string,
  ): Promise<void> {
    const field = action === 'attach' ? 'attachError' : 'detachError';
    if (attachment.status?.[field]?.message === message) return;
    // What is attached stays so for its node: a daemon that is away for a moment takes nothing from it.
    const attached = attachment.status?.attached ?? false;
    const time = new Date(this.#context.clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z');
    await this.#patchStatus(attachment, { attached, [field]: { time, message } });
    this.#context.events.warning(attachment, reasons[action], message);
  }

  async #patchStatus(attachment: VolumeAttachment, status: object): Promise<VolumeAttachment> {
    const { name, resourceVersion } = attachment.metadata;
    const body = { metadata: { resourceVersion }, status };
    const options = { subresource: 'status' } as const;
    return this.#context.client.patch(
      volumeAttachments,
      { name },
      { type: 'merge', body },
      options,
    );
  }
}
