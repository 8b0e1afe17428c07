/** What the rows see of a server: an NBD export of some size. */

/** A server with one export to read and write. */
export interface BlockServer {
  /** What tables and commands call it. */
  readonly name: string;
  /** Of its export. */
  readonly uri: string;
  /** Its process. */
  readonly pid: number;
  close(): Promise<void>;
}
