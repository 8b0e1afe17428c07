/**
 * How kubelet learns of the plugin: it finds the registration socket in its folder, asks what is there, and
 * tells whether it took it. Removing the socket is how a plugin leaves.
 */
import type { Logger } from '@varve/common/logger';
import { z } from 'zod';
import type { GrpcService } from './grpc-server.ts';

/** What kubelet demands: not the plugin's version, nor that of CSI. */
const registrationVersion = '1.0.0';

const statusSchema = z.object({ pluginRegistered: z.boolean(), error: z.string() });

/** What kubelet is told, and who is told what it says. */
export interface Registration {
  readonly driverName: string;
  /** The CSI socket as kubelet, outside the container, sees it. */
  readonly endpoint: string;
  readonly log: Logger;
  /** kubelet refused; it looks again only at a new socket. */
  readonly onRefused: (reason: string) => void;
}

/** The service. */
export function registrationService(registration: Registration): GrpcService {
  const { driverName: name, endpoint, log, onRefused } = registration;
  const info = { type: 'CSIPlugin', name, endpoint, supportedVersions: [registrationVersion] };
  return {
    name: 'pluginregistration.Registration',
    protoFile: 'plugin-registration.proto',
    handlers: {
      GetInfo: async () => Promise.resolve(info),
      NotifyRegistrationStatus: async (request) => {
        const { pluginRegistered, error } = statusSchema.parse(request);
        if (pluginRegistered) log.info({ name }, 'kubelet registered the plugin');
        else {
          log.error({ name, reason: error }, 'kubelet refused the plugin');
          onRefused(error);
        }
        return Promise.resolve({});
      },
    },
  };
}
