/** What the operations of a reactor work with. */
import type { StoreEnvironment } from '../../store/store-environment.ts';
import type { VolumeTable } from '../../volume/volume-table.ts';
import type { ReactorNotices } from '../channel.ts';
import type { ExportServer } from '../export-server.ts';
import type { OpenPools } from '../pools/open-pools.ts';
import type { SpaceProgress } from './space-progress.ts';

/** What the operations work with. */
export interface ControlDependencies {
  readonly pools: OpenPools;
  readonly volumes: VolumeTable;
  readonly exports: ExportServer;
  readonly environment: StoreEnvironment;
  readonly notices: ReactorNotices;
  readonly spaceProgress: SpaceProgress;
}
