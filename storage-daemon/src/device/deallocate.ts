/**
 * Tells the kernel that bytes of a device are not needed: BLKDISCARD on a block device, a hole in a file. Both take
 * as long as the hardware or the file system likes, so they run on a thread of the FFI library's, not on one of the
 * few that Node's file accesses share.
 */
import koffi from 'koffi';

/** From linux/fs.h: _IO(0x12, 119), with a range of two u64. */
const blkDiscard = 0x1277;
/** From fallocate(2): FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE. */
const punchHole = 0x01 | 0x02;

const library = koffi.load(null);
const ioctl = library.func('int ioctl(int fd, unsigned long request, void *range)');
const fallocate = library.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');

/** What such a call says of a device that cannot do it. */
const unsupportedCodes: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'ENOSYS', 'ENOTTY']);

/** An open device, and which of the two calls it takes. */
interface DeallocateTarget {
  readonly fd: number;
  readonly kind: 'file' | 'block';
}

/** Null: done. Else the name of the system's error, and whether the device will never do it. */
type DeallocateCompletion = (
  failure: { readonly code: string; readonly isUnsupported: boolean } | null,
) => void;

/** Gives bytes back to the device; what they read as afterwards is not defined. Completes after the call returns. */
export function deallocateRange(
  target: DeallocateTarget,
  offsetBytes: number,
  lengthBytes: number,
  done: DeallocateCompletion,
): void {
  const ended = (error: unknown, result: number) => {
    if (!error && result === 0) {
      done(null);
      return;
    }
    const errno = koffi.errno();
    const found = Object.entries(koffi.os.errno).find(([, value]) => value === errno);
    const code = found?.[0] ?? `errno ${errno}`;
    if (code === 'EINTR') deallocateRange(target, offsetBytes, lengthBytes, done);
    else done({ code, isUnsupported: unsupportedCodes.has(code) });
  };
  if (target.kind === 'block') {
    const range = new BigUint64Array([BigInt(offsetBytes), BigInt(lengthBytes)]);
    ioctl.async(target.fd, blkDiscard, range, ended);
  } else fallocate.async(target.fd, punchHole, offsetBytes, lengthBytes, ended);
}
