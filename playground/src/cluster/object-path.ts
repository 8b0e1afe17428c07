/** URLs of the kinds that the playground itself makes and reads. */

const plurals: Readonly<
  Record<string, { readonly plural: string; readonly isNamespaced: boolean }>
> = {
  Event: { plural: 'events', isNamespaced: true },
  Namespace: { plural: 'namespaces', isNamespaced: false },
  PersistentVolume: { plural: 'persistentvolumes', isNamespaced: false },
  PersistentVolumeClaim: { plural: 'persistentvolumeclaims', isNamespaced: true },
  Pod: { plural: 'pods', isNamespaced: true },
  StorageClass: { plural: 'storageclasses', isNamespaced: false },
  StorageDaemon: { plural: 'storagedaemons', isNamespaced: false },
  VolumeSnapshot: { plural: 'volumesnapshots', isNamespaced: true },
  VolumeSnapshotClass: { plural: 'volumesnapshotclasses', isNamespaced: false },
  VolumeSnapshotContent: { plural: 'volumesnapshotcontents', isNamespaced: false },
};

/** Names a collection of objects. */
export interface CollectionName {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
}

/** Names one object. */
export interface ObjectName extends CollectionName {
  readonly name: string;
}

/** The path of a collection. */
export function collectionPath({ apiVersion, kind, namespace }: CollectionName): string {
  const found = plurals[kind];
  if (found === undefined)
    throw new RangeError(`Cannot make a URL for the kind ${kind}: it is not known here`);
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const place = found.isNamespaced ? `/namespaces/${namespace ?? 'default'}` : '';
  return `${root}${place}/${found.plural}`;
}

/** The path of an object. */
export function objectPath(object: ObjectName): string {
  return `${collectionPath(object)}/${object.name}`;
}
