/** The flags of `ashlar build`, as commander hands them over: words, nothing read or checked. */
export interface BuildFlags {
  readonly file?: string;
  readonly tag?: readonly string[];
  readonly target?: string;
  readonly buildArg?: readonly string[];
  readonly buildContext?: readonly string[];
  readonly platform?: readonly string[];
  readonly label?: readonly string[];
  /** False for --no-cache. */
  readonly cache?: boolean;
  /** The values of --no-cache-filter; commander's `true` where there are none. */
  readonly cacheFilter?: readonly string[] | true;
  readonly cacheFrom?: readonly string[];
  readonly cacheTo?: readonly string[];
  readonly pull?: boolean;
  readonly output?: readonly string[];
  readonly load?: boolean;
  readonly quiet?: boolean;
  readonly iidfile?: string;
  readonly metadataFile?: string;
  readonly progress?: string;
  readonly root?: string;
  readonly push?: boolean;
  readonly annotation?: readonly string[];
  readonly attest?: readonly string[];
  readonly provenance?: string;
  readonly sbom?: string;
  readonly sign?: string;
  readonly secret?: readonly string[];
  readonly ssh?: readonly string[];
  readonly network?: string;
  readonly addHost?: readonly string[];
  readonly shmSize?: string;
  readonly ulimit?: readonly string[];
  readonly cgroupParent?: string;
  readonly resource?: readonly string[];
  readonly memory?: string;
  readonly memorySwap?: string;
  readonly cpuShares?: string;
  readonly cpuPeriod?: string;
  readonly cpuQuota?: string;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly allow?: readonly string[];
  readonly maxParallelism?: string;
  readonly cacheMaxSize?: string;
  readonly isolation?: string;
  readonly onError?: string;
  readonly check?: boolean;
  readonly call?: string;
  /** Empty without a value. */
  readonly plan?: string;
  readonly debug?: boolean;
}
