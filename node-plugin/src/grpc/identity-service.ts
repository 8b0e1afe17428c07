/** CSI's Identity service: constants. */
import { nodePluginVersion } from '../version.ts';
import type { GrpcService } from './grpc-server.ts';

/** What the plugin says of itself. */
export interface Identity {
  readonly driverName: string;
  /** Whether volumes can be reached from some nodes only. */
  readonly hasTopology: boolean;
  /** Whether a Controller service is served at the same socket; only tests do that. */
  readonly hasController?: boolean;
}

/** The service. */
export function identityService(identity: Identity): GrpcService {
  const { driverName, hasTopology, hasController = false } = identity;
  const services = [
    ...(hasController ? ['CONTROLLER_SERVICE'] : []),
    ...(hasTopology ? ['VOLUME_ACCESSIBILITY_CONSTRAINTS'] : []),
  ];
  const capabilities = [
    ...services.map((type) => ({ service: { type } })),
    { volumeExpansion: { type: 'ONLINE' } },
  ];
  return {
    name: 'csi.v1.Identity',
    protoFile: 'csi.proto',
    handlers: {
      GetPluginInfo: async () =>
        Promise.resolve({ name: driverName, vendorVersion: nodePluginVersion }),
      GetPluginCapabilities: async () => Promise.resolve({ capabilities }),
      Probe: async () => Promise.resolve({ ready: { value: true } }),
    },
  };
}
