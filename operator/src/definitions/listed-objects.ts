/**
 * Creates the objects that a ConfigMap lists, if they are absent: classes and daemons of which the chart knows, but
 * whose definitions are not there yet when it is installed. Once for each time that this instance begins to work: an
 * object that somebody deletes later stays deleted. What is there already is never changed.
 */
import type { Logger } from '@varve/common/logger';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { apiErrorKind, isAlreadyExists } from '../kube/api-errors.ts';
import type { EventRecorder } from '../kube/event-recorder.ts';
import type { KubeClient } from '../kube/kube-client.ts';
import type { Draft, KubernetesObject, ObjectName } from '../kube/kubernetes-object.ts';
import type { Resource } from '../kube/resource.ts';
import {
  apiVersionOf,
  configMaps,
  storageClasses,
  storageDaemons,
  volumeSnapshotClasses,
} from '../kube/resource.ts';

/** What creating needs. */
export interface ListedObjectDependencies {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly log: Logger;
}

const allowed = [storageDaemons, volumeSnapshotClasses, storageClasses] as readonly Resource[];
const allowedText = allowed.map(({ kind }) => kind).join(', ');

const listedSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string().min(1) }),
});

/** A document of the ConfigMap, or what is wrong with it. */
type Listed =
  | { readonly resource: Resource; readonly draft: Draft<KubernetesObject> }
  | { readonly problem: string };

/**
 * Creates them. A document that is no object, or that the API server refuses, is told in the log and by an event at
 * the ConfigMap, and does not hold up the others.
 *
 * @throws ApiError when the ConfigMap cannot be read, or an object cannot be created for now.
 */
export async function createListedObjects(
  at: ObjectName,
  { client, events, log }: ListedObjectDependencies,
): Promise<void> {
  const configMap = await client.get(configMaps, at);
  const refuse = (problem: string): void => {
    log.error({ configMap: at, problem }, 'a listed object cannot be created');
    events.warning(configMap, 'InvalidListedObject', problem);
  };
  for (const [key, text] of Object.entries(configMap.data ?? {})) {
    for (const listed of readListed(key, text)) {
      if ('problem' in listed) refuse(listed.problem);
      else await create(listed, { client, log, refuse });
    }
  }
}

async function create(
  { resource, draft }: { readonly resource: Resource; readonly draft: Draft<KubernetesObject> },
  {
    client,
    log,
    refuse,
  }: {
    readonly client: KubeClient;
    readonly log: Logger;
    readonly refuse: (problem: string) => void;
  },
): Promise<void> {
  try {
    await client.create(resource, draft);
    log.info({ kind: resource.kind, object: draft.metadata.name }, 'created a listed object');
  } catch (error) {
    if (isAlreadyExists(error)) return;
    const kind = apiErrorKind(error);
    if (kind !== 'invalid' && kind !== 'bad-request') throw error;
    refuse((error as Error).message);
  }
}

function readListed(key: string, text: string): readonly Listed[] {
  return parseAllDocuments(text).flatMap((document): readonly Listed[] => {
    const attempt = `Reading "${key}" failed:`;
    const [error] = document.errors;
    if (error !== undefined) return [{ problem: `${attempt} ${error.message}` }];
    const value: unknown = document.toJS();
    if (value === null) return [];
    const parsed = listedSchema.safeParse(value);
    if (!parsed.success) {
      return [{ problem: `${attempt} it must have apiVersion, kind and metadata.name` }];
    }
    const { apiVersion, kind, metadata } = parsed.data;
    const resource = allowed.find(
      (each) => each.kind === kind && apiVersionOf(each) === apiVersion,
    );
    if (resource === undefined) {
      const what = `${apiVersion} ${kind} "${metadata.name}"`;
      return [{ problem: `${attempt} ${what} is not of the kinds ${allowedText}` }];
    }
    return [{ resource, draft: parsed.data as unknown as Draft<KubernetesObject> }];
  });
}
