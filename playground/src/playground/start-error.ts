/** One of the playground's programs does not get ready; the message is a sentence for the person who started it. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly kind = 'not-ready';

  constructor(program: string, why: string, logFile: string) {
    super(
      `${program} does not get ready: ${why}. Its log is ${logFile}; --fresh starts anew, without the data.`,
    );
  }
}
