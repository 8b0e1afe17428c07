/**
 * kubectl as a user types it. Everything the tests do to a cluster goes through the real program, never through
 * a client library: what it prints is what users see.
 */
import {
  runCommand,
  tryCommand,
  type CommandResult,
  type RunCommandOptions,
} from '../process/run-command.ts';
import { waitUntil } from '../process/wait-until.ts';

/** Which kubectl, which cluster, and where kubectl may keep its discovery cache. */
export interface KubectlOptions {
  readonly binary: string;
  readonly kubeconfig: string;
  /** Servers of two runs may have the same address: each run has a cache of its own. */
  readonly cacheDirectory: string;
  readonly namespace: string;
}

/** The parts of any object that tests look at. */
export interface KubernetesObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly namespace?: string;
    readonly deletionTimestamp?: string;
    readonly finalizers?: readonly string[];
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** kubectl for one cluster and namespace. */
export class Kubectl {
  readonly namespace: string;
  readonly #options: KubectlOptions;

  constructor(options: KubectlOptions) {
    this.#options = options;
    this.namespace = options.namespace;
  }

  /** Command and arguments, for callers that run it as a process of its own. */
  commandLine(args: readonly string[]): {
    readonly command: string;
    readonly args: readonly string[];
  } {
    return {
      command: this.#options.binary,
      args: [
        `--kubeconfig=${this.#options.kubeconfig}`,
        `--cache-dir=${this.#options.cacheDirectory}`,
        `--namespace=${this.#options.namespace}`,
        ...args,
      ],
    };
  }

  /** Runs it, demands success and returns what it printed. */
  async run(args: readonly string[], options: RunCommandOptions = {}): Promise<string> {
    const line = this.commandLine(args);
    return runCommand(line.command, line.args, options);
  }

  /** Runs it and returns the result whatever it is. */
  async try(args: readonly string[], options: RunCommandOptions = {}): Promise<CommandResult> {
    const line = this.commandLine(args);
    return tryCommand(line.command, line.args, options);
  }

  /** Applies manifests. */
  async apply(manifests: readonly object[]): Promise<string> {
    return this.run(['apply', '-f', '-'], { input: manifestText(manifests) });
  }

  /** Creates objects that are not there: quicker than `apply`, which looks for each first. */
  async create(manifests: readonly object[], timeoutMs: number): Promise<string> {
    return this.run(['create', '-f', '-'], { input: manifestText(manifests), timeoutMs });
  }

  /** Applies a file as it stands. */
  async applyFile(path: string): Promise<string> {
    return this.run(['apply', '-f', path]);
  }

  /** One object. */
  async get<Found extends KubernetesObject>(resource: string, name: string): Promise<Found> {
    return JSON.parse(await this.run(['get', resource, name, '-o', 'json'])) as Found;
  }

  /** All objects of a kind, in the namespace, or everywhere for kinds without namespace. */
  async list<Found extends KubernetesObject>(resource: string): Promise<readonly Found[]> {
    const text = await this.run(['get', resource, '-o', 'json']);
    return (JSON.parse(text) as { readonly items: readonly Found[] }).items;
  }

  /** Names of all objects of a kind. */
  async names(resource: string): Promise<readonly string[]> {
    return (await this.list(resource)).map((object) => object.metadata.name);
  }

  /** Waits with `kubectl wait`; the message of a failure ends with what `describe` says. */
  async wait(target: string, condition: string, timeoutSeconds = 60): Promise<void> {
    const args = ['wait', target, `--for=${condition}`, `--timeout=${timeoutSeconds}s`];
    const result = await this.try(args, { timeoutMs: (timeoutSeconds + 30) * 1000 });
    if (result.code === 0) return;
    const described = await this.try(['describe', target]);
    throw new Error(
      `kubectl ${args.join(' ')} failed: ${result.stderr.trim()}\n${described.stdout}${described.stderr}`,
    );
  }

  /** Waits until a claim is bound. */
  async waitBound(claim: string, timeoutSeconds = 60): Promise<void> {
    await this.wait(`pvc/${claim}`, 'jsonpath={.status.phase}=Bound', timeoutSeconds);
  }

  /** Waits until a snapshot is ready to use. */
  async waitReady(snapshot: string, timeoutSeconds = 60): Promise<void> {
    await this.wait(
      `volumesnapshot/${snapshot}`,
      'jsonpath={.status.readyToUse}=true',
      timeoutSeconds,
    );
  }

  /** Deletes and waits until it is gone, finalizers and all. */
  async delete(resource: string, name: string, timeoutSeconds = 60): Promise<void> {
    await this.run(['delete', resource, name, `--timeout=${timeoutSeconds}s`], {
      timeoutMs: (timeoutSeconds + 30) * 1000,
    });
  }

  /**
   * Deletes all objects of a kind in the namespace and waits until they are gone. kubectl's own waiting asks for one
   * after the other, at five requests a second.
   */
  async deleteAll(resource: string, timeoutMs: number): Promise<void> {
    await this.run(['delete', resource, '--all', '--wait=false'], { timeoutMs });
    await waitUntil(
      `all ${resource} to be gone`,
      async () => {
        const left = await this.names(resource);
        if (left.length > 0) throw new Error(`${left.length} left: ${left.slice(0, 5).join(', ')}`);
        return true;
      },
      { timeoutMs, intervalMs: 300 },
    );
  }
}

/** One JSON document after the other, as kubectl reads them from a stream. */
function manifestText(manifests: readonly object[]): string {
  return manifests.map((manifest) => JSON.stringify(manifest)).join('\n');
}
