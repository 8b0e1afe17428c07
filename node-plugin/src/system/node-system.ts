/**
 * The machine as the node plugin sees it: NVMe controllers and namespaces (sysfs), `/dev/nvme-fabrics`, the
 * mount table, the programs that make, check and grow file systems, and the folder of state files. The real
 * one is `linux-system.ts`; tests have one in memory that fails on cue.
 *
 * Every method either did what it says or throws; one that throws may still have had its effect. Reading methods tell
 * what is there now and never guess: what could not be read is an error, not an absence.
 */
import type { Portal } from '@varve/contract/kubernetes/attachment-metadata';

/** A file system that we make. */
export type FilesystemType = 'ext4' | 'xfs';

/** A controller: the connection of this machine to a subsystem through one portal. */
export interface NvmeController {
  /** `nvme3`. */
  readonly name: string;
  readonly subsystemNqn: string;
  readonly hostNqn: string;
  /** `live`, `connecting`, `deleting` ... */
  readonly state: string;
  readonly portal: Portal;
}

/** A block device that is a namespace. Hidden disks of single paths are none. */
export interface NvmeDevice {
  /** `/dev/nvme0n1`. */
  readonly path: string;
  readonly subsystemNqn: string;
  /** Small letters. */
  readonly namespaceUuid: string;
  readonly sizeBytes: number;
  /** `259:3`, as the mount table names it. */
  readonly deviceNumber: string;
}

/** A line of the mount table. */
export interface Mount {
  readonly path: string;
  /** Of the file system's device, `259:3`. */
  readonly deviceNumber: string;
  /** What of the file system is mounted: `/`, or the node's name where a device node is. */
  readonly root: string;
  readonly type: string;
  readonly isReadOnly: boolean;
}

/** What to mount. */
export interface MountRequest {
  readonly source: string;
  readonly target: string;
  /** `bind` shows the source, a folder or a device node, at another place. */
  readonly type: FilesystemType | 'bind';
  readonly options: readonly string[];
}

/** What the first sectors of a device say; each part of it was read. */
export type ProbeResult =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'filesystem'; readonly type: string }
  /** A partition table, a volume group member ... */
  | { readonly kind: 'other'; readonly what: string };

/** How full a file system is. */
export interface FilesystemUsage {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly usedBytes: number;
  readonly totalInodes: number;
  readonly freeInodes: number;
}

/** A device with its file system, mounted or not. */
export interface FilesystemPlace {
  readonly device: string;
  readonly type: FilesystemType;
}

/** NVMe of the machine. */
export interface NvmeSystem {
  /** Whether the kernel joins several paths to one device. Without that, each path has a device of its own. */
  hasMultipath(): Promise<boolean>;
  listControllers(): Promise<readonly NvmeController[]>;
  listDevices(): Promise<readonly NvmeDevice[]>;
  /** Throws `unavailable` when nothing listens there. */
  probePortal(portal: Portal): Promise<void>;
  /** Gives the kernel a connect string; returns when the controller is live. One that is there already is fine. */
  connectController(connectString: string): Promise<void>;
  /** Starts the end of a controller; `listControllers` tells when it is gone. */
  deleteController(name: string): Promise<void>;
  /** Makes the kernel look at the namespaces again. */
  rescanController(name: string): Promise<void>;
}

/** Mounts and paths. */
export interface MountSystem {
  listMounts(): Promise<readonly Mount[]>;
  mount(request: MountRequest): Promise<void>;
  /** Takes away the topmost mount of a path. */
  unmount(path: string): Promise<void>;
  /** Makes a folder; its parents must be there. One that is there is fine. */
  makeFolder(path: string): Promise<void>;
  /** Makes an empty file. One that is there is fine. */
  makeFile(path: string): Promise<void>;
  /** Removes an empty folder or an empty file. What is not there is fine; what is not empty is an error. */
  removeTarget(path: string): Promise<void>;
  usage(path: string): Promise<FilesystemUsage>;
}

/** File systems on devices. */
export interface FilesystemSystem {
  /** Reads the device; a read that fails is an error. */
  probeDevice(device: string): Promise<ProbeResult>;
  makeFilesystem(place: FilesystemPlace): Promise<void>;
  /** Replays the journal and repairs what is safe to repair. Only for what is not mounted. */
  checkFilesystem(place: FilesystemPlace): Promise<void>;
  /** Makes a mounted file system as large as its device; one that is so already is fine. */
  growFilesystem(place: FilesystemPlace & { readonly mountedAt: string }): Promise<void>;
  /** Writes everything back that a mounted file system holds in memory. */
  syncFilesystem(path: string): Promise<void>;
  /** Writes back and forgets what the kernel holds of a device. */
  flushDevice(device: string): Promise<void>;
  /** Stops all writes to a mounted file system, durably. */
  freezeFilesystem(path: string): Promise<void>;
  /** Ends a freeze. One that is not frozen is fine. */
  thawFilesystem(path: string): Promise<void>;
}

/** State files, replaced as a whole. */
export interface StateSystem {
  listStates(): Promise<readonly string[]>;
  readState(name: string): Promise<string | undefined>;
  /** Durable when it returns; never half written. */
  writeState(name: string, content: string): Promise<void>;
  removeState(name: string): Promise<void>;
}

/** The machine. */
export interface NodeSystem extends NvmeSystem, MountSystem, FilesystemSystem, StateSystem {}
