// ARG and --build-arg: which values a stage may see. An argument is visible after the ARG that declares it; the proxies need no
// declaration; one declared before the first FROM is visible to FROM lines and gives its default to the stages that declare it.

/** Values without ARG; they do not count for the cache. */
const PREDEFINED: readonly string[] = [
  ...['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy'],
  ...['FTP_PROXY', 'ftp_proxy', 'NO_PROXY', 'no_proxy', 'ALL_PROXY', 'all_proxy'],
];

type Values = ReadonlyMap<string, string | undefined>;

export class BuildArgs {
  readonly #global = new Map<string, string | undefined>();
  #declared = new Map<string, string | undefined>();
  readonly #used = new Set<string>();

  /**
   * @param given of the request; without a value (`--build-arg X` of an unset X) they are as good as not given
   * @param platform TARGETARCH and its kin: defaults that a global ARG would give
   */
  constructor(
    private readonly given: ReadonlyMap<string, string>,
    platform: ReadonlyMap<string, string> = new Map(),
  ) {
    for (const [name, value] of platform) this.#global.set(name, value);
  }

  /** An ARG before the first FROM. */
  declareGlobal(name: string, value: string | undefined): void {
    this.#used.add(name);
    this.#global.set(name, value);
  }

  /** A stage begins: what another one declared is gone. */
  beginStage(): void {
    this.#declared = new Map();
  }

  declare(name: string, value: string | undefined): void {
    this.#used.add(name);
    this.#declared.set(name, value);
  }

  #value(name: string, values: Values): string | undefined {
    return this.given.get(name) ?? values.get(name) ?? this.#global.get(name);
  }

  /** For FROM lines and the values of global ARGs. */
  global(name: string): string | undefined {
    return this.#global.has(name) ? (this.given.get(name) ?? this.#global.get(name)) : undefined;
  }

  /** What this stage may see, without what its environment says otherwise: sorted `NAME=value`. */
  visible(environment: readonly string[]): string[] {
    return this.#list(environment, [...this.#declared.keys(), ...PREDEFINED.filter((name) => this.given.has(name))]);
  }

  /** Those of `visible` by which a step's result may differ. */
  counted(environment: readonly string[]): string[] {
    return this.#list(environment, [...this.#declared.keys()]);
  }

  #list(environment: readonly string[], names: readonly string[]): string[] {
    const taken = new Set(environment.map((entry) => entry.split('=', 1)[0]));
    return [...new Set(names)]
      .filter((name) => !taken.has(name))
      .flatMap((name) => {
        const value = this.#value(name, this.#declared);
        return value === undefined ? [] : [`${name}=${value}`];
      })
      .sort();
  }

  /** Given by the request and declared nowhere. */
  unused(): string[] {
    return [...this.given.keys()].filter((name) => !this.#used.has(name) && !PREDEFINED.includes(name)).sort();
  }
}
