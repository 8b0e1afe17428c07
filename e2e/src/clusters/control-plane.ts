/**
 * Starts etcd, kube-apiserver and kube-controller-manager as processes on loopback, with everything they write
 * in one folder. As close to a production control plane as the tests need: RBAC is on, and each controller runs
 * under its own ServiceAccount.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ManagedProcess } from '../process/managed-process.ts';
import { tryCommand } from '../process/run-command.ts';
import { freePorts } from './free-port.ts';
import { writeKubeconfig } from './kubeconfig-file.ts';

/** A start takes 5 s on two idle cores. */
const startTimeoutMs = 120_000;
/** A port that was free may be taken by another program before the server binds it. */
const startAttemptsMax = 3;

/** What the tests need of kube-controller-manager: binding, protection, namespaces, garbage collection and tokens. */
const controllers = [
  'persistentvolume-binder-controller',
  'persistentvolumeclaim-protection-controller',
  'persistentvolume-protection-controller',
  'namespace-controller',
  'garbage-collector-controller',
  'serviceaccount-controller',
  'serviceaccount-token-controller',
];

/** Where the programs are and where they may write. */
export interface ControlPlaneOptions {
  readonly tools: ReadonlyMap<string, string>;
  readonly directory: string;
}

/** The running processes of a control plane. */
export class ControlPlane {
  readonly adminKubeconfig: string;
  readonly server: string;
  /** PEM file to check the server's certificate with, for the name `tlsServerName`. */
  readonly certificateFile: string;
  readonly tlsServerName = 'kubernetes.default.svc';
  readonly #options: ControlPlaneOptions;
  readonly #processes: ManagedProcess[] = [];
  readonly #ports: { readonly etcdClient: number; readonly etcdPeer: number; readonly api: number };

  private constructor(options: ControlPlaneOptions, ports: readonly number[]) {
    this.#options = options;
    this.#ports = {
      etcdClient: ports[0] ?? 0,
      etcdPeer: ports[1] ?? 0,
      api: ports[2] ?? 0,
    };
    this.server = `https://127.0.0.1:${this.#ports.api}`;
    this.certificateFile = join(options.directory, 'certificates', 'apiserver.crt');
    this.adminKubeconfig = join(options.directory, 'admin.kubeconfig');
  }

  /** Starts all three and resolves when the API server says it is ready. */
  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    for (let attempt = 1; ; attempt++) {
      const directory = join(options.directory, `attempt-${attempt}`);
      mkdirSync(directory, { recursive: true });
      const controlPlane = new ControlPlane({ ...options, directory }, await freePorts(3));
      try {
        await controlPlane.#startAll();
        return controlPlane;
      } catch (error) {
        const portTaken = controlPlane.logTails().includes('address already in use');
        await controlPlane.stop();
        if (!portTaken || attempt === startAttemptsMax) throw error;
      }
    }
  }

  logTails(): string {
    return this.#processes.map((process) => process.logTail(15)).join('\n');
  }

  /** Ends the processes, those that depend on others first. */
  async stop(): Promise<void> {
    for (const process of this.#processes.toReversed()) await process.stop();
  }

  async #startAll(): Promise<void> {
    const tokens = this.#writeCredentials();
    this.#startEtcd();
    const apiServer = this.#startApiServer();
    writeKubeconfig(this.adminKubeconfig, this.#access(tokens.admin));
    const kubectl = this.#tool('kubectl');
    await apiServer.waitUntil(
      'kube-apiserver to be ready',
      async () => {
        const args = ['--kubeconfig', this.adminKubeconfig, 'get', '--raw', '/readyz'];
        const answer = await tryCommand(kubectl, args, { timeoutMs: 10_000 });
        return answer.stdout === 'ok' ? true : undefined;
      },
      startTimeoutMs,
    );
    this.#startControllerManager(tokens.controllerManager);
  }

  #access(token: string): Parameters<typeof writeKubeconfig>[1] {
    return {
      server: this.server,
      token,
      certificateAuthorityFile: this.certificateFile,
      tlsServerName: this.tlsServerName,
    };
  }

  #tool(name: string): string {
    const path = this.#options.tools.get(name);
    if (path === undefined) throw new Error(`Starting ${name} failed: it is not built`);
    return path;
  }

  #path(name: string): string {
    return join(this.#options.directory, name);
  }

  #run(name: string, args: readonly string[]): ManagedProcess {
    const started = new ManagedProcess({
      name,
      command: this.#tool(name),
      args,
      logFile: this.#path(`${name}.log`),
      cwd: this.#options.directory,
    });
    this.#processes.push(started);
    return started;
  }

  #writeCredentials(): { readonly admin: string; readonly controllerManager: string } {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    writeFileSync(this.#path('service-account.key'), privateKey, { mode: 0o600 });
    const admin = randomBytes(16).toString('hex');
    const controllerManager = randomBytes(16).toString('hex');
    const lines = [
      `${admin},admin,admin,"system:masters"`,
      `${controllerManager},system:kube-controller-manager,system:kube-controller-manager`,
    ];
    writeFileSync(this.#path('tokens.csv'), `${lines.join('\n')}\n`, { mode: 0o600 });
    return { admin, controllerManager };
  }

  #startEtcd(): void {
    const client = `http://127.0.0.1:${this.#ports.etcdClient}`;
    const peer = `http://127.0.0.1:${this.#ports.etcdPeer}`;
    this.#run('etcd', [
      `--data-dir=${this.#path('etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      // The cluster lives as long as the run: what a power cut would lose is of no interest.
      '--unsafe-no-fsync',
      '--log-level=warn',
    ]);
  }

  #startApiServer(): ManagedProcess {
    return this.#run('kube-apiserver', [
      `--etcd-servers=http://127.0.0.1:${this.#ports.etcdClient}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${this.#ports.api}`,
      // Must not be loopback. It is a documentation address that nothing dials: no endpoints are published.
      '--advertise-address=192.0.2.1',
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=198.51.100.0/24',
      `--cert-dir=${this.#path('certificates')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${this.#path('service-account.key')}`,
      `--service-account-signing-key-file=${this.#path('service-account.key')}`,
      `--token-auth-file=${this.#path('tokens.csv')}`,
      '--authorization-mode=Node,RBAC',
      '--allow-privileged=true',
    ]);
  }

  #startControllerManager(token: string): void {
    const kubeconfig = this.#path('controller-manager.kubeconfig');
    writeKubeconfig(kubeconfig, this.#access(token));
    this.#run('kube-controller-manager', [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      `--service-account-private-key-file=${this.#path('service-account.key')}`,
      '--use-service-account-credentials=true',
      `--controllers=${controllers.join(',')}`,
      '--leader-elect=false',
      // No health endpoint: nothing asks it, and it would need a port.
      '--secure-port=0',
      '--bind-address=127.0.0.1',
      // The default of 20 a second would measure kube's own throttle, not the storage driver.
      '--kube-api-qps=500',
      '--kube-api-burst=1000',
    ]);
  }
}
