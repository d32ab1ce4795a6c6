// The errors of this directory. Their messages are for the user.

/** What was asked for is not a valid volume; Docker's words, and exit code 125 where Docker has it. */
export class VolumeSpecError extends Error {
  override readonly name = 'VolumeSpecError';
}

/** The name has come to be a volume's meanwhile. */
export class VolumeTaken extends Error {
  override readonly name = 'VolumeTaken';
}

/** A volume or a host path cannot be used: names the thing, the cause and the next step. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
  }
}
