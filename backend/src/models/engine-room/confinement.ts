import type { ContainerSpec } from '../../../../docker/containers.ts';

type HostConfig = NonNullable<ContainerSpec['HostConfig']>;

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

/** Where an engine may write: home and caches. They are memory, bounded, and end with the container. */
export const scratchHome = '/cache';

/** The folder of the engine's key. A volume, since nothing can be copied into a container whose root can't be written. */
export const secretsFolder = '/run/cortex';

/**
 * Sizes of what an engine may write. vLLM compiles kernels into its caches and loads them from there, so they need exec;
 * llama.cpp keeps what the driver compiled.
 */
const scratch = {
  vllm: { [scratchHome]: 8 * GiB, '/tmp': 2 * GiB, options: 'exec' },
  llamacpp: { [scratchHome]: 2 * GiB, '/tmp': 256 * MiB, options: 'noexec' },
} as const;

/** Variables that lead every cache of the engines into their scratch. */
export const scratchVariables: readonly string[] = [
  `HOME=${scratchHome}`,
  // Python looks a user up in /etc/passwd, where a folder's owner has no entry, unless it is named here.
  'USER=cortex',
  'LOGNAME=cortex',
  `XDG_CACHE_HOME=${scratchHome}`,
  `XDG_CONFIG_HOME=${scratchHome}/config`,
  `TORCHINDUCTOR_CACHE_DIR=${scratchHome}/torchinductor`,
  `TRITON_CACHE_DIR=${scratchHome}/triton`,
  `NUMBA_CACHE_DIR=${scratchHome}/numba`,
];

/** Threads and processes: vLLM has some hundreds for each GPU. */
const mostProcesses = 4096;
/** Above everything else on the machine: when its memory runs out, an engine ends, not Docker, the database or Cortex. */
const endsBeforeOthers = 500;

/**
 * What every container that we make may and may not do. Docker's own profiles of system calls (and AppArmor's, where the
 * host has it) stay on; no namespace is the host's.
 */
export function confinement(engine: 'vllm' | 'llamacpp', memoryBytes: number | null): HostConfig {
  const { options, ...sizes } = scratch[engine];
  return {
    Privileged: false,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    ReadonlyRootfs: true,
    Tmpfs: Object.fromEntries(
      Object.entries(sizes).map(([path, bytes]) => [path, `rw,nosuid,nodev,${options},mode=1777,size=${bytes}`]),
    ),
    // Docker's resolver would ask the host's name servers for an engine, before 23.0.11, 25.0.5 and 26.0 also from a network
    // without a way out (CVE-2024-29018). Of the container's own loopback nothing answers.
    Dns: ['127.0.0.1'],
    IpcMode: 'private',
    CgroupnsMode: 'private',
    PidsLimit: mostProcesses,
    OomScoreAdj: endsBeforeOthers,
    // Swap the same as memory: none.
    ...(memoryBytes === null ? {} : { Memory: memoryBytes, MemorySwap: memoryBytes }),
    LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
    // Cortex restarts engines itself: Docker's own restarts would hide the failure that it has to explain.
    RestartPolicy: { Name: 'no' },
  };
}

/**
 * The memory that one engine may have: the machine's without what the system, the database and Cortex need. A load that
 * the machine can hold is never ended by this limit; one that it can't hold ends alone.
 */
export const memoryLimit = (machineBytes: number): number =>
  Math.floor(machineBytes - Math.min(machineBytes / 2, Math.max(2 * GiB, machineBytes / 16)));
