import type { Listers } from '../../kube/lister.ts';
import { csiNodes, persistentVolumes, volumeAttachments } from '../../kube/resource.ts';
import type { World } from './world.ts';

/**
 * Reads the attachment and what it names. The cache will do: whatever is missing in it is waited for, and who may
 * have a volume is judged by its daemon.
 */
export function gather(name: string, listers: Listers): World {
  const attachment = listers.of(volumeAttachments).get(name);
  if (attachment === undefined) {
    return { attachment: undefined, volume: undefined, csiNode: undefined };
  }
  const { nodeName, source } = attachment.spec;
  return {
    attachment,
    volume: listers.of(persistentVolumes).get(source.persistentVolumeName ?? ''),
    csiNode: listers.of(csiNodes).get(nodeName),
  };
}
