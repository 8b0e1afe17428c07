/** All built-in kinds. */
import type { ModelSchemas } from '../../schema/model-schemas.ts';
import type { ResourceDefinition } from '../resource-definition.ts';
import { builtInResource, type BuiltInKind } from './built-in-resource.ts';
import { persistentVolumeClaims } from './claims.ts';
import { configMaps, leases, nodes, secrets, serviceAccounts } from './configuration.ts';
import { customResourceDefinitions } from './custom-resource-definitions.ts';
import { coreEvents, newEvents } from './events.ts';
import { namespaces } from './namespaces.ts';
import { pods } from './pods.ts';
import { storageKinds } from './storage-classes.ts';
import { persistentVolumes } from './volumes.ts';

const kinds: readonly BuiltInKind[] = [
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  coreEvents,
  newEvents,
  secrets,
  configMaps,
  serviceAccounts,
  nodes,
  leases,
  ...storageKinds,
  customResourceDefinitions,
];

/** The definitions of all built-in kinds. */
export function builtInDefinitions(models: ModelSchemas): ResourceDefinition[] {
  return kinds.map((kind) => builtInResource(models, kind));
}
