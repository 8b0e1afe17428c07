/** A daemon whose volumes are written to once, and what rows about snapshots do to it. */
import type { GroupContext } from '../../harness/row.ts';
import { type FioLoad, type FioResult, type FioTarget, runFio } from '../../load/fio.ts';
import { fillLoad } from '../../load/loads.ts';
import { DaemonServer } from '../../servers/daemon-server.ts';

/** Control calls under way at one time: what an operator sends. */
const callsUnderWay = 8;

/** Numbers of snapshots, the last one left out. */
export interface SnapshotRange {
  readonly from: number;
  readonly end: number;
}

/** A daemon with filled volumes, and fio on any of them. */
export class FilledDaemon {
  readonly daemon: DaemonServer;
  readonly #context: GroupContext;

  private constructor(daemon: DaemonServer, context: GroupContext) {
    this.daemon = daemon;
    this.#context = context;
  }

  static async start(context: GroupContext, volumes: readonly string[]): Promise<FilledDaemon> {
    const daemon = await DaemonServer.start(context);
    const filled = new FilledDaemon(daemon, context);
    try {
      for (const volume of volumes) {
        await daemon.createVolume(volume, context.dataBytes);
        await filled.fio(volume, fillLoad, {});
      }
    } catch (error) {
      await daemon.close();
      throw error;
    }
    return filled;
  }

  /** Runs fio on a volume. */
  async fio(
    volume: string,
    load: FioLoad,
    options: Pick<FioTarget, 'seconds' | 'rateLog'>,
  ): Promise<FioResult> {
    const uri = await this.daemon.exportUri(`volume/${volume}`);
    const { dataBytes: sizeBytes, printCommand } = this.#context;
    return runFio(load, { uri, sizeBytes, ...options }, printCommand);
  }

  /** Takes one snapshot; they are numbered over all volumes. */
  async takeSnapshot(volume: string, index: number): Promise<void> {
    await this.daemon.client.putSnapshot(`snapshot-${index}`, { volume, labels: {} });
  }

  /** Takes them one after the other. */
  async takeSnapshots(volume: string, { from, end }: SnapshotRange): Promise<void> {
    for (let index = from; index < end; index++) await this.takeSnapshot(volume, index);
  }

  /** Deletes them, some at the same time. */
  async deleteSnapshots({ from, end }: SnapshotRange): Promise<void> {
    let next = from;
    const work = async (): Promise<void> => {
      while (next < end) await this.daemon.client.deleteSnapshot(`snapshot-${next++}`);
    };
    await Promise.all(Array.from({ length: callsUnderWay }, work));
  }
}
