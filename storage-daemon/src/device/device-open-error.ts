/** Why a device could not be opened. `kind` is stable, `message` is for people. */
export class DeviceOpenError extends Error {
  override readonly name = 'DeviceOpenError';
  readonly kind: 'not-found' | 'permission-denied' | 'in-use' | 'unsuitable' | 'io';
  readonly deviceName: string;

  constructor(
    kind: DeviceOpenError['kind'],
    message: string,
    context: { deviceName: string; cause?: unknown },
  ) {
    super(message, { cause: context.cause });
    this.kind = kind;
    this.deviceName = context.deviceName;
  }

  /** Finds the kind of a system call's failure by its code. */
  static fromSystem(action: string, deviceName: string, cause: unknown): DeviceOpenError {
    const code = systemCode(cause);
    const context = { deviceName, cause };
    switch (code) {
      case 'ENOENT':
      case 'ENXIO':
      case 'ENODEV':
        return new DeviceOpenError('not-found', `${action}: no such file or device`, context);
      case 'EACCES':
      case 'EPERM':
      case 'EROFS':
        return new DeviceOpenError('permission-denied', `${action}: ${code}`, context);
      case 'EBUSY':
        return new DeviceOpenError('in-use', `${action}: the kernel or another program`, context);
      default:
        return new DeviceOpenError('io', `${action}: ${code ?? String(cause)}`, context);
    }
  }
}

/** The code of a failed system call, e.g. `ENOENT`; undefined for any other failure. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
